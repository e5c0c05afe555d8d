//! The key of an advisory lock, as far as a text and its parameters tell it.
//!
//! Owns constants and casts: decimal and hexadecimal numbers, strings, bit strings, bound parameters
//! in text and binary form. Anything else is an expression, whose value is not known.

use super::token::TokenKind;
use super::view::View;

/// A bound parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// Its bytes; `None` is NULL.
    pub bytes: Option<&'a [u8]>,
    /// Whether the bytes are in the type's binary form.
    pub binary: bool,
    /// The oid of its type; 0 is unknown.
    pub type_oid: u32,
}

/// How deep parentheses may nest in a key.
const DEPTH: usize = 16;

/// The whole number that this part of a statement is, if it is one and can be told.
pub(super) fn integer(view: View<'_>, parameters: &[Parameter<'_>]) -> Option<i128> {
    let mut reader = Reader {
        view,
        at: 0,
        parameters,
    };
    let value = reader.expression(0)?;
    (reader.at == view.len()).then_some(value)
}

struct Reader<'a> {
    view: View<'a>,
    at: usize,
    parameters: &'a [Parameter<'a>],
}

/// A value that may still become another by a cast.
enum Value {
    Whole(i128),
    /// A bit string: its bits, and how many.
    Bits(u64, u32),
}

impl Reader<'_> {
    fn expression(&mut self, depth: usize) -> Option<i128> {
        let mut negative = false;
        while self.view.is_kind(self.at, TokenKind::Operator) {
            match self.view.text(self.at) {
                "-" => negative = !negative,
                "+" => {}
                _ => return None,
            }
            self.at += 1;
        }
        let mut value = self.constant(depth)?;
        while self.view.is_kind(self.at, TokenKind::Cast) {
            self.at += 1;
            let name = self.type_name()?;
            value = Value::Whole(cast(value, &name)?);
        }
        match value {
            Value::Whole(number) => Some(if negative { -number } else { number }),
            Value::Bits(..) => None,
        }
    }

    fn constant(&mut self, depth: usize) -> Option<Value> {
        let text = self.view.text(self.at);
        match self.view.kind(self.at)? {
            TokenKind::Number => {
                self.at += 1;
                parse(text).map(Value::Whole)
            }
            TokenKind::Text => {
                self.at += 1;
                string(text)
            }
            TokenKind::Parameter => {
                self.at += 1;
                let index: usize = text[1..].parse().ok()?;
                let parameter = self.parameters.get(index.checked_sub(1)?)?;
                bound(parameter).map(Value::Whole)
            }
            TokenKind::Open if depth < DEPTH => {
                self.at += 1;
                let value = self.expression(depth + 1)?;
                self.close()?;
                Some(Value::Whole(value))
            }
            TokenKind::Word if self.view.is(self.at, "cast") && depth < DEPTH => {
                self.at += 1;
                if !self.view.is_kind(self.at, TokenKind::Open) {
                    return None;
                }
                self.at += 1;
                // `cast(x'1f' as int)`: the operand may be a bit string.
                let value = match (self.view.kind(self.at), self.view.is(self.at + 1, "as")) {
                    (Some(TokenKind::Text), true) => self.constant(depth + 1)?,
                    _ => Value::Whole(self.expression(depth + 1)?),
                };
                if !self.view.is(self.at, "as") {
                    return None;
                }
                self.at += 1;
                let name = self.type_name()?;
                self.close()?;
                cast(value, &name).map(Value::Whole)
            }
            // `bigint '42'`
            TokenKind::Word if self.view.is_kind(self.at + 1, TokenKind::Text) => {
                let name = self.type_name()?;
                let value = string(self.view.text(self.at))?;
                self.at += 1;
                cast(value, &name).map(Value::Whole)
            }
            _ => None,
        }
    }

    fn close(&mut self) -> Option<()> {
        let closed = self.view.is_kind(self.at, TokenKind::Close);
        self.at += 1;
        closed.then_some(())
    }

    fn type_name(&mut self) -> Option<String> {
        let (name, next) = self.view.name(self.at)?;
        self.at = next;
        matches!(name.schema.as_deref(), None | Some("pg_catalog")).then_some(name.name)
    }
}

/// What a cast makes of a value; `None` where the server would refuse, or the type is another.
fn cast(value: Value, type_name: &str) -> Option<i128> {
    let (low, high, width) = match type_name {
        "smallint" | "int2" => (i128::from(i16::MIN), i128::from(i16::MAX), 0),
        "integer" | "int" | "int4" => (i128::from(i32::MIN), i128::from(i32::MAX), 32),
        "bigint" | "int8" => (i128::from(i64::MIN), i128::from(i64::MAX), 64),
        "oid" => (0, i128::from(u32::MAX), 0),
        "text" | "varchar" | "numeric" | "decimal" => (i128::MIN, i128::MAX, 0),
        _ => return None,
    };
    match value {
        Value::Whole(number) => (low..=high).contains(&number).then_some(number),
        Value::Bits(bits, length) if length <= width => Some(if width == 32 {
            i128::from(u32::try_from(bits).ok()?.cast_signed())
        } else {
            i128::from(bits.cast_signed())
        }),
        Value::Bits(..) => None,
    }
}

/// The value of a string constant.
fn string(text: &str) -> Option<Value> {
    let (prefix, rest) = text.split_at(text.find('\'')?);
    let inner = rest.strip_prefix('\'')?.strip_suffix('\'')?;
    let radix = match prefix {
        "" => return parse(inner.trim()).map(Value::Whole),
        "x" | "X" => 16_u32,
        "b" | "B" => 2,
        _ => return None,
    };
    let length = u32::try_from(inner.len()).ok()? * radix.ilog2();
    let digits = inner.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits && length <= 64)
        .then(|| u64::from_str_radix(inner, radix).ok())
        .flatten()
        .map(|bits| Value::Bits(bits, length))
}

/// A whole number as Postgres writes it, in any of its bases (all but decimal: from 16 on).
fn parse(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits.as_str()),
    };
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// Oids of types whose binary form is their text: text, bpchar, varchar, unknown.
const TEXTS: [u32; 4] = [25, 1042, 1043, 705];

/// The whole number that is bound to a parameter.
fn bound(parameter: &Parameter<'_>) -> Option<i128> {
    let bytes = parameter.bytes?;
    if !parameter.binary || TEXTS.contains(&parameter.type_oid) {
        return parse(std::str::from_utf8(bytes).ok()?.trim());
    }
    match (parameter.type_oid, bytes.len()) {
        (26, 4) => Some(i128::from(u32::from_be_bytes(bytes.try_into().ok()?))),
        (0 | 21, 2) => Some(i128::from(i16::from_be_bytes(bytes.try_into().ok()?))),
        (0 | 23, 4) => Some(i128::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        (0 | 20, 8) => Some(i128::from(i64::from_be_bytes(bytes.try_into().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use proptest::prelude::*;

    fn value(sql: &str, parameters: &[Parameter<'_>]) -> Option<i128> {
        let tokens = lex(sql);
        integer(
            View {
                sql,
                tokens: &tokens.all,
            },
            parameters,
        )
    }

    #[test]
    fn constants_are_read_in_every_spelling() {
        for sql in [
            "1196576591",
            "0x47524f4f",
            "0X4752_4F4F",
            "'1196576591'",
            "(1196576591)",
            "1196576591::bigint",
            "'1196576591'::pg_catalog.int8",
            "cast (1196576591 as BIGINT)",
            "cast('1196576591' as int)",
            "int8 '1196576591'",
            "- -1196576591",
            "x'47524f4f'::int",
            "cast(X'47524F4F' as bigint)",
            "1196576591::text::bigint",
        ] {
            assert_eq!(value(sql, &[]), Some(1_196_576_591), "{sql}");
        }
        assert_eq!(
            value("-9223372036854775808", &[]),
            Some(i128::from(i64::MIN))
        );
        assert_eq!(value("x'ffffffff'::int", &[]), Some(-1));
        assert_eq!(value("x'ffffffff'::bigint", &[]), Some(0xffff_ffff));
    }

    #[test]
    fn expressions_and_what_the_server_would_refuse_are_unknown() {
        for sql in [
            "hashtext('x')",
            "1 + 2",
            "1.5",
            "1e3",
            "$1",
            "$0",
            "a",
            "",
            "'abc'",
            "(1",
            "1)",
            "4294967296::int",
            "x'1f'",
            "x'47524f4f'::bit(64)::bigint",
            "(select 1)",
            "'1'::money",
            "my.int8 '1'",
            "~1",
            "U&'1'",
            "null",
        ] {
            assert_eq!(value(sql, &[]), None, "{sql}");
        }
        assert_eq!(
            value(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000)), &[]),
            None
        );
    }

    proptest! {
        #[test]
        fn a_bound_number_is_read_in_every_form(number: i64, small: i32, other: i64) {
            let text = number.to_string();
            let bytes = number.to_be_bytes();
            let short = small.to_be_bytes();
            let skipped = other.to_string();
            let parameters = [
                Parameter { bytes: Some(skipped.as_bytes()), binary: false, type_oid: 0 },
                Parameter { bytes: Some(text.as_bytes()), binary: false, type_oid: 20 },
                Parameter { bytes: Some(&bytes), binary: true, type_oid: 20 },
                Parameter { bytes: Some(&bytes), binary: true, type_oid: 0 },
                Parameter { bytes: Some(&short), binary: true, type_oid: 23 },
                Parameter { bytes: Some(text.as_bytes()), binary: true, type_oid: 25 },
                Parameter { bytes: None, binary: false, type_oid: 20 },
            ];
            for sql in ["$2", "$3", "$4::bigint", "(cast($4 as int8))", "$6::text::bigint"] {
                prop_assert_eq!(value(sql, &parameters), Some(i128::from(number)), "{}", sql);
            }
            prop_assert_eq!(value("$5", &parameters), Some(i128::from(small)));
            prop_assert_eq!(value("$7", &parameters), None);
            prop_assert_eq!(value("$8", &parameters), None);
            prop_assert_eq!(value(&text, &[]), Some(i128::from(number)));
        }
    }
}
