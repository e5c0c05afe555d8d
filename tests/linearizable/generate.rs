//! Histories: a small lock server with clients, and what can go wrong with what it tells.
//!
//! Every list of numbers is a history, so that a failing one can be made small.

use lockproof_core::name::LockMode;
use lockproof_core::operation::{Action, Call, LockEvent, Outcome};

/// A list of numbers, used up one by one; after its end all are 0.
pub struct Numbers<'n> {
    left: std::slice::Iter<'n, u16>,
}

impl<'n> Numbers<'n> {
    pub fn of(numbers: &'n [u16]) -> Self {
        Self {
            left: numbers.iter(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.left.len() == 0
    }

    /// One of these many.
    pub fn below(&mut self, many: usize) -> usize {
        usize::from(self.left.next().copied().unwrap_or(0)) % many.max(1)
    }
}

/// An operation of a client that has not returned.
struct Under {
    call: u32,
    what: Call,
    done: bool,
}

/// What a client does at the moment: one step, with one or more calls.
#[derive(Default)]
struct Client {
    under_way: Vec<Under>,
    /// It will never be told anything, and asks for nothing more.
    dead: bool,
}

/// A lock server, its clients, and what was seen of them.
pub struct Server {
    clients: Vec<Client>,
    /// Who holds what, in which mode, once for each time.
    held: Vec<(u32, u32, LockMode)>,
    pub events: Vec<LockEvent>,
    calls: u32,
}

impl Server {
    fn can(&self, call: Call) -> bool {
        let own = (call.owner, call.lock, call.mode);
        match call.action {
            Action::Release => self.held.contains(&own),
            Action::Acquire => !self.held.iter().any(|(owner, lock, mode)| {
                *owner != call.owner
                    && *lock == call.lock
                    && (call.mode == LockMode::Exclusive || *mode == LockMode::Exclusive)
            }),
        }
    }

    fn does(&mut self, call: Call) {
        let own = (call.owner, call.lock, call.mode);
        match call.action {
            Action::Acquire => self.held.push(own),
            Action::Release => {
                let place = self.held.iter().position(|one| *one == own).unwrap();
                self.held.remove(place);
            }
        }
    }

    fn calls(&mut self, client: usize, numbers: &mut Numbers<'_>, locks: usize) {
        // Mostly one call a step.
        let many = [1, 1, 1, 1, 2, 2, 3][numbers.below(7)];
        for _ in 0..many {
            let mut what = Call {
                owner: client as u32,
                lock: numbers.below(locks) as u32,
                action: Action::Acquire,
                mode: [LockMode::Exclusive, LockMode::Exclusive, LockMode::Share][numbers.below(3)],
            };
            let own = |one: &&(u32, u32, LockMode)| one.0 == what.owner;
            let holds = self.held.iter().rev().find(own).copied();
            if let Some((_, lock, mode)) = holds
                && numbers.below(3) > 0
            {
                (what.action, what.lock, what.mode) = (Action::Release, lock, mode);
            } else if numbers.below(12) == 0 {
                what.action = Action::Release;
            }
            self.events.push(LockEvent::Call(what));
            self.clients[client].under_way.push(Under {
                call: self.calls,
                what,
                done: false,
            });
            self.calls += 1;
        }
    }

    /// The server does the first call of a step that is not done and can be.
    fn goes_on(&mut self, client: usize) -> bool {
        let next = self.clients[client]
            .under_way
            .iter()
            .position(|one| !one.done);
        let Some(next) = next else { return false };
        let what = self.clients[client].under_way[next].what;
        if !self.can(what) {
            return false;
        }
        self.does(what);
        self.clients[client].under_way[next].done = true;
        true
    }

    /// A step returns. What was not done failed; or nobody knows.
    fn returns(&mut self, client: usize, unknown: bool) {
        for one in std::mem::take(&mut self.clients[client].under_way) {
            let outcome = match (one.done, unknown) {
                (_, true) => Outcome::Info,
                (true, false) => Outcome::Ok,
                (false, false) => Outcome::Fail,
            };
            self.events.push(LockEvent::Return {
                call: one.call,
                outcome,
            });
        }
    }
}

impl Server {
    /// The session of a dead client ends: the server gives back what it surely held.
    fn ends(&mut self, client: usize) {
        let owner = client as u32;
        for (_, lock, mode) in self.held.clone().into_iter().filter(|one| one.0 == owner) {
            let what = Call {
                owner,
                lock,
                action: Action::Release,
                mode,
            };
            self.events.push(LockEvent::Call(what));
            self.does(what);
            let (call, outcome) = (self.calls, Outcome::Ok);
            self.events.push(LockEvent::Return { call, outcome });
            self.calls += 1;
        }
    }
}

/// What a correct server tells of these clients.
pub fn correct(numbers: &mut Numbers<'_>) -> Vec<LockEvent> {
    let clients = 2 + numbers.below(3);
    let locks = 1 + numbers.below(2);
    let doubt = numbers.below(2) == 0;
    let mut server = Server {
        clients: (0..clients).map(|_| Client::default()).collect(),
        held: Vec::new(),
        events: Vec::new(),
        calls: 0,
    };
    while !numbers.is_empty() && server.calls < 16 {
        let client = numbers.below(clients);
        let idle = server.clients[client].under_way.is_empty();
        match numbers.below(8) {
            // What it had asked may still be done, and its session ends some time.
            0 if server.clients[client].dead => server.ends(client),
            _ if server.clients[client].dead => {
                server.goes_on(client);
            }
            _ if idle => server.calls(client, numbers, locks),
            0 if doubt => server.returns(client, true),
            1 if doubt => server.clients[client].dead = true,
            // A call that cannot be done may be refused.
            2 => server.returns(client, false),
            _ => {
                if !server.goes_on(client) {
                    let all = server.clients[client].under_way.iter().all(|one| one.done);
                    if all {
                        server.returns(client, false);
                    }
                }
            }
        }
    }
    server.events
}

/// What clients may have been told by anything: each step returns when and as it likes. Steps of a
/// client come one after the other, and after one that never returns there are no more.
pub fn anything(numbers: &mut Numbers<'_>) -> Vec<LockEvent> {
    let clients = 2 + numbers.below(2);
    let mut under_way: Vec<Vec<u32>> = vec![Vec::new(); clients];
    let mut dead = vec![false; clients];
    let mut events = Vec::new();
    let mut calls = 0;
    let most = 3 + numbers.below(10) as u32;
    while !numbers.is_empty() && calls < most {
        let client = numbers.below(clients);
        if dead[client] {
            continue;
        }
        if !under_way[client].is_empty() {
            if numbers.below(8) == 0 {
                dead[client] = true;
                continue;
            }
            for call in std::mem::take(&mut under_way[client]) {
                let outcome =
                    [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Info][numbers.below(4)];
                events.push(LockEvent::Return { call, outcome });
            }
            continue;
        }
        for _ in 0..[1, 1, 1, 1, 2, 3][numbers.below(6)] {
            events.push(LockEvent::Call(Call {
                owner: client as u32,
                lock: 0,
                action: [Action::Acquire, Action::Release][numbers.below(2)],
                mode: [LockMode::Exclusive, LockMode::Exclusive, LockMode::Share][numbers.below(3)],
            }));
            under_way[client].push(calls);
            calls += 1;
        }
    }
    events
}

/// The same, with something changed that a correct server need not have told.
pub fn changed(mut events: Vec<LockEvent>, numbers: &mut Numbers<'_>) -> Vec<LockEvent> {
    for new_owner in (4..).take(1 + numbers.below(8)) {
        if events.is_empty() {
            break;
        }
        let place = numbers.below(events.len());
        let kind = numbers.below(6);
        match (&mut events[place], kind) {
            // Two owners; a release by another session.
            (LockEvent::Call(call), 0 | 1) => call.owner = new_owner,
            (LockEvent::Call(call), 2) => {
                call.mode = if call.mode == LockMode::Exclusive {
                    LockMode::Share
                } else {
                    LockMode::Exclusive
                };
            }
            // A lost release; an acquire that was refused and goes on; one that nobody heard of.
            (LockEvent::Return { outcome, .. }, 0) => *outcome = Outcome::Fail,
            (LockEvent::Return { outcome, .. }, 1) => *outcome = Outcome::Ok,
            (LockEvent::Return { outcome, .. }, 2) => *outcome = Outcome::Info,
            // Earlier or later than it was.
            (LockEvent::Return { call, .. }, 3 | 4) => {
                let call = *call;
                let owners = owners(&events);
                later(&mut events, &owners, call);
            }
            (LockEvent::Return { call, .. }, _) => {
                let call = *call;
                let owners = owners(&events);
                events.reverse();
                later(&mut events, &owners, call);
                events.reverse();
            }
            (LockEvent::Call(_), _) => {}
        }
    }
    events
}

/// Moves the returns of a call's step past the calls of the step that comes next, if that is another
/// owner's. A step's calls stay together, and so do its returns; calls keep their numbers.
fn later(events: &mut Vec<LockEvent>, owners: &[u32], call: u32) {
    let owner = owners[call as usize];
    let returns = |event: &LockEvent| matches!(event, LockEvent::Return { .. });
    let own = |event: &LockEvent| match event {
        LockEvent::Return { call, .. } => owners[*call as usize] == owner,
        LockEvent::Call(_) => false,
    };
    let at = events
        .iter()
        .position(|event| matches!(event, LockEvent::Return { call: one, .. } if *one == call));
    let Some(at) = at else { return };
    let before = events[..at].iter().rposition(|event| !returns(event));
    let start = before.map_or(0, |before| before + 1);
    let end = at + events[at..].iter().take_while(|one| returns(one)).count();
    let asked: Vec<u32> = events[end..]
        .iter()
        .map_while(|event| match event {
            LockEvent::Call(call) => Some(call.owner),
            LockEvent::Return { .. } => None,
        })
        .collect();
    let apart = |many: &usize| {
        !asked[..*many]
            .iter()
            .any(|one| asked[*many..].contains(one))
    };
    let Some(many) = (1..=asked.len()).find(apart) else {
        return;
    };
    if asked[..many].contains(&owner) {
        return;
    }
    let block: Vec<LockEvent> = events[start..end].iter().copied().filter(own).collect();
    let mut moved: Vec<LockEvent> = events[start..end].to_vec();
    moved.retain(|event| !own(event));
    moved.extend_from_slice(&events[end..end + many]);
    moved.extend(block);
    events.splice(start..end + many, moved);
}

fn owners(events: &[LockEvent]) -> Vec<u32> {
    let owner = |event: &LockEvent| match event {
        LockEvent::Call(call) => Some(call.owner),
        LockEvent::Return { .. } => None,
    };
    events.iter().filter_map(owner).collect()
}
