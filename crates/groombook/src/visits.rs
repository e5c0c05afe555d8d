//! Visits: an appointment and what hangs on it.
//!
//! Owns the chances (status, tip, payment) and the sums (tax, total, shares). Knows nothing of when
//! rows are sent.

use chrono::{NaiveDate, NaiveDateTime};

use super::batch::Batch;
use super::dates;
use super::draw::{Draw, Id};
use super::invented::{APPOINTMENT_NOTES, CUT_STYLES, PRODUCTS, VISIT_NOTES};
use super::people::{Client, Member, Service, Staff};
use super::profile::Sizes;
use super::rows::{optional, text};

/// 8 % of this many cents, halves up.
fn tax(cents: u32) -> u32 {
    (cents * 8 + 50) / 100
}

/// How a visit's invoice came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payment {
    /// As chance has it: 95 % are paid.
    Drawn,
    /// Paid.
    Paid,
    /// Still open, without a tip.
    Pending,
}

/// What visits are drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shop<'a> {
    pub(super) staff: &'a Staff,
    pub(super) services: &'a [Service],
    pub(super) sizes: &'a Sizes,
    pub(super) today: NaiveDate,
}

struct Visit<'a> {
    id: Id,
    client: Id,
    pet: Id,
    service: Service,
    groomer: &'a Member,
    bather: Option<&'a Member>,
}

impl<'a> Shop<'a> {
    /// A visit of any status; says whether it got an invoice.
    pub(super) fn visit(&self, client: &Client, draw: &mut Draw, batch: &mut Batch) -> bool {
        let visit = self.visit_of(client, draw);
        let status = match draw.between(1, 11) {
            1..=7 => "completed",
            8 => "scheduled",
            9 => "confirmed",
            10 => "cancelled",
            _ => "no_show",
        };
        let start = match status {
            "scheduled" | "confirmed" => dates::ahead(self.today, self.sizes.days_ahead, draw),
            _ => dates::past(self.today, self.sizes.days_back, draw),
        };
        let end = visit.book(status, start, draw, batch);
        if status == "completed" {
            visit.settle(Payment::Drawn, end, draw, batch);
        }
        status == "completed"
    }

    /// A completed visit with an invoice.
    pub(super) fn completed(
        &self,
        client: &Client,
        payment: Payment,
        draw: &mut Draw,
        batch: &mut Batch,
    ) {
        let visit = self.visit_of(client, draw);
        let start = dates::past(self.today, self.sizes.days_back, draw);
        let end = visit.book("completed", start, draw, batch);
        visit.settle(payment, end, draw, batch);
    }

    fn visit_of(&self, client: &Client, draw: &mut Draw) -> Visit<'a> {
        let id = draw.id();
        let pet = draw.pick(&client.pets).id;
        let service = *draw.pick(self.services);
        let groomer = draw.pick(&self.staff.groomers);
        let bather = match self.staff.bathers.as_slice() {
            [] => None,
            bathers => draw.percent(60).then(|| draw.pick(bathers)),
        };
        Visit {
            id,
            client: client.id,
            pet,
            service,
            groomer,
            bather,
        }
    }
}

impl Visit<'_> {
    /// Adds the appointment; gives its end.
    fn book(
        &self,
        status: &str,
        start: NaiveDateTime,
        draw: &mut Draw,
        batch: &mut Batch,
    ) -> NaiveDateTime {
        let end = dates::later(start, self.service.minutes);
        let notes = draw.percent(40).then(|| *draw.pick(&APPOINTMENT_NOTES));
        batch.appointments.push(format!(
            "{}, {}, {}, {}, {}, {}, '{status}', {}, {}, {}, {}",
            self.id.sql(),
            self.client.sql(),
            self.pet.sql(),
            self.service.id.sql(),
            self.groomer.id.sql(),
            self.bather
                .map_or_else(|| "null".to_owned(), |bather| bather.id.sql()),
            dates::sql(start),
            dates::sql(end),
            optional(notes),
            self.service.price_cents
        ));
        end
    }

    /// Adds the invoice, its line item, the tip's shares and the visit log.
    fn settle(&self, payment: Payment, end: NaiveDateTime, draw: &mut Draw, batch: &mut Batch) {
        let invoice = draw.id();
        let tip = match (payment, draw.percent(70), draw.between(200, 3000)) {
            (Payment::Pending, ..) | (_, false, _) => 0,
            (_, true, cents) => cents,
        };
        let paid = match payment {
            Payment::Paid => true,
            Payment::Pending => false,
            Payment::Drawn => draw.percent(95),
        };
        let method = *draw.pick(&["cash", "card", "check", "other"]);
        let subtotal = self.service.price_cents;
        let tax = tax(subtotal);
        batch.invoices.push(format!(
            "{}, {}, {}, {subtotal}, {tax}, {tip}, {}, {}, null",
            invoice.sql(),
            self.id.sql(),
            self.client.sql(),
            subtotal + tax + tip,
            if paid {
                format!("'paid', '{method}', {}", dates::sql(end))
            } else {
                "'pending', null, null".to_owned()
            }
        ));
        batch.line_items.push(format!(
            "{}, {}, {}, 1, {subtotal}, {subtotal}",
            draw.id().sql(),
            invoice.sql(),
            text(self.service.name)
        ));
        if paid && tip > 0 {
            self.split(invoice, tip, draw, batch);
        }
        batch.visit_logs.push(format!(
            "{}, {}, {}, {}, {}, {}, {}, {}",
            draw.id().sql(),
            self.pet.sql(),
            self.id.sql(),
            self.groomer.id.sql(),
            text(draw.pick::<&str>(&CUT_STYLES)),
            text(draw.pick::<&str>(&PRODUCTS)),
            optional(draw.percent(70).then(|| *draw.pick(&VISIT_NOTES))),
            dates::sql(end)
        ));
    }

    /// 60/40 between groomer and bather, 100 for a groomer alone. The shares add up to the tip.
    fn split(&self, invoice: Id, tip: u32, draw: &mut Draw, batch: &mut Batch) {
        let mut share = |who: &Member, percent: u32, cents: u32| {
            batch.tip_splits.push(format!(
                "{}, {}, {}, {}, {percent}.00, {cents}",
                draw.id().sql(),
                invoice.sql(),
                who.id.sql(),
                text(&who.name)
            ));
        };
        match self.bather {
            None => share(self.groomer, 100, tip),
            Some(bather) => {
                let groomers = (tip * 60 + 50) / 100;
                share(self.groomer, 60, groomers);
                share(bather, 40, tip - groomers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_is_eight_percent_with_halves_up() {
        assert_eq!(tax(4200), 336);
        assert_eq!(tax(1), 0);
        assert_eq!(tax(7), 1);
        assert_eq!(tax(1550), 124);
    }
}
