//! The textbook races: each is found by the default search within ten schedules, and the same job with a lock
//! around look and write passes with exit code 0.

use crate::yard::Yard;

/// A job as a shell script. `GUARD` and `DONE` are where a lock would be taken and given back, `LOOK` is what
/// is done before the lock even where there is one in the racy form.
struct Race {
    name: &'static str,
    schema: &'static str,
    /// The job without a lock.
    racy: &'static str,
    /// The job with one.
    sound: &'static str,
    /// The invariant that is violated.
    violates: &'static str,
}

const RACES: [Race; 6] = [
    Race {
        name: "write skew",
        schema: "create table doctor (name text primary key, on_call boolean not null);
                 insert into doctor values ('a', true), ('b', true);",
        racy: "ask s 'select count(*) from doctor where on_call'
               [ \"$answer\" -lt 2 ] ||
                 ask s \"update doctor set on_call = false where name = '$LOCKPROOF_POD'\"",
        sound: "ask s begin
               ask s 'select pg_advisory_xact_lock(7)'
               ask s 'select count(*) from doctor where on_call'
               [ \"$answer\" -lt 2 ] ||
                 ask s \"update doctor set on_call = false where name = '$LOCKPROOF_POD'\"
               ask s commit",
        violates: "clean-state",
    },
    Race {
        name: "check, then insert",
        schema: "create table job (name text not null);",
        racy: "ask s \"select count(*) from job where name = 'night'\"
               [ \"$answer\" -gt 0 ] || ask s \"insert into job values ('night')\"",
        sound: "ask s begin
               ask s 'select pg_advisory_xact_lock(7)'
               ask s \"select count(*) from job where name = 'night'\"
               [ \"$answer\" -gt 0 ] || ask s \"insert into job values ('night')\"
               ask s commit",
        violates: "clean-state",
    },
    Race {
        name: "check, then set a flag that is set back",
        schema: "create table flag (busy boolean not null); insert into flag values (false);
                 create table item (id int primary key);",
        racy: "ask s 'select busy from flag'
               [ \"$answer\" = f ] || exit 0
               ask s 'update flag set busy = true'
               ask s 'delete from item'
               ask s 'insert into item values (1)'
               ask s 'insert into item values (2)'
               ask s 'update flag set busy = false'",
        sound: "ask s 'update flag set busy = true where not busy returning 1'
               [ \"$answer\" = 1 ] || exit 0
               ask s 'delete from item'
               ask s 'insert into item values (1)'
               ask s 'insert into item values (2)'
               ask s 'update flag set busy = false'",
        violates: "no-errors",
    },
    Race {
        name: "a list that is read before LOCK TABLE",
        schema: "create table done (name text not null);",
        racy: "ask s 'select count(*) from done'
               ran=$answer
               ask s begin
               ask s 'lock table done in access exclusive mode'
               [ \"$ran\" -gt 0 ] || ask s \"insert into done values ('bonus')\"
               ask s commit",
        sound: "ask s begin
               ask s 'lock table done in access exclusive mode'
               ask s 'select count(*) from done'
               ran=$answer
               [ \"$ran\" -gt 0 ] || ask s \"insert into done values ('bonus')\"
               ask s commit",
        violates: "clean-state",
    },
    Race {
        name: "a row that is picked up twice",
        schema: "create table job (id int primary key, taken boolean not null default false);
                 insert into job values (1), (2); create table mail (job int not null);",
        racy: "while ask s 'select id from job where not taken order by id limit 1' && [ \"$answer\" ]; do
                 id=$answer
                 ask s \"update job set taken = true where id = $id\"
                 ask s \"insert into mail values ($id)\"
               done",
        sound: "while ask s begin &&
                 ask s 'select id from job where not taken order by id limit 1 for update skip locked' &&
                 [ \"$answer\" ]; do
                 id=$answer
                 ask s \"update job set taken = true where id = $id\"
                 ask s \"insert into mail values ($id)\"
                 ask s commit
               done
               ask s rollback",
        violates: "clean-state",
    },
    Race {
        name: "a number that is drawn twice",
        schema: "create table bill (number int primary key);",
        racy: "ask s 'select coalesce(max(number), 0) + 1 from bill'
               ask s \"insert into bill values ($answer)\"",
        sound: "ask s begin
               ask s 'select pg_advisory_xact_lock(7)'
               ask s 'select coalesce(max(number), 0) + 1 from bill'
               ask s \"insert into bill values ($answer)\"
               ask s commit",
        violates: "no-errors",
    },
];

/// What clean-state sees only if it compares rows that differ between serial runs of one pod and of two.
const LOST_UPDATE: Race = Race {
    name: "lost update",
    schema: "create table account (balance int not null); insert into account values (100);",
    racy: "ask s 'select balance from account'
           ask s \"update account set balance = $((answer + 10))\"",
    sound: "ask s begin
           ask s 'select balance from account for update'
           ask s \"update account set balance = $((answer + 10))\"
           ask s commit",
    violates: "clean-state",
};

/// Rows that are not committed yet are seen by no check, and waited for by the insert.
const MERGE: Race = Race {
    name: "insert what is not there, in a transaction",
    schema: "create table total (id int primary key, sum int not null);",
    racy: "ask s begin
           ask s 'update total set sum = 7'
           ask s 'insert into total select 1, 7 where not exists (select from total where id = 1)'
           ask s commit",
    sound: "ask s begin
           ask s 'lock table total in share row exclusive mode'
           ask s 'update total set sum = 7'
           ask s 'insert into total select 1, 7 where not exists (select from total where id = 1)'
           ask s commit",
    violates: "no-errors",
};

/// Each has the table's definition locked against a change when it comes to change it.
const SWAP: Race = Race {
    name: "a table that is filled anew beside the old one and put in its place",
    schema: "create table total (id int primary key); insert into total values (0);",
    racy: "ask s begin
           ask s 'create table total_new (like total including all)'
           ask s 'insert into total_new values (1)'
           ask s 'alter table total rename to total_old'
           ask s 'alter table total_new rename to total'
           ask s 'drop table total_old'
           ask s commit",
    sound: "ask s begin
           ask s 'select pg_advisory_xact_lock(7)'
           ask s 'create table total_new (like total including all)'
           ask s 'insert into total_new values (1)'
           ask s 'alter table total rename to total_old'
           ask s 'alter table total_new rename to total'
           ask s 'drop table total_old'
           ask s commit",
    violates: "no-errors",
};

/// It waits for the lock only so long, and then works all the same; the sound one leaves.
const IMPATIENT: Race = Race {
    name: "a wait for the lock that ends by its time limit",
    schema: "create table t (id int primary key);",
    racy: "ask s 'set lock_timeout = 200'
           ask s 'select pg_advisory_lock(7)' || true
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s 'select pg_advisory_unlock(7)'",
    sound: "ask s 'set lock_timeout = 200'
           ask s 'select pg_advisory_lock(7)' || exit 0
           ask s begin
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s commit
           ask s 'select pg_advisory_unlock(7)'",
    violates: "no-errors",
};

/// The same, where no statement sets the limit: the session begins with it.
const IMPATIENT_FROM_ITS_START: Race = Race {
    name: "a wait for the lock that ends by a time limit of the session's start",
    racy: "close s
           PGOPTIONS='-c lock_timeout=200' open s
           ask s 'select pg_advisory_lock(7)' || true
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s 'select pg_advisory_unlock(7)'",
    sound: "close s
           PGOPTIONS='-c lock_timeout=200' open s
           ask s 'select pg_advisory_lock(7)' || exit 0
           ask s begin
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s commit
           ask s 'select pg_advisory_unlock(7)'",
    ..IMPATIENT
};

/// The same, where the database gives the limit to all its sessions.
const IMPATIENT_BY_ITS_DATABASE: Race = Race {
    name: "a wait for the lock that ends by a time limit of the database's",
    schema: "create table t (id int primary key);
             do $$ begin execute format('alter database %I set lock_timeout = 200', current_database()); end $$;",
    racy: "ask s 'select pg_advisory_lock(7)' || true
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s 'select pg_advisory_unlock(7)'",
    sound: "ask s 'select pg_advisory_lock(7)' || exit 0
           ask s begin
           ask s 'delete from t'
           ask s 'insert into t values (1)'
           ask s 'insert into t values (2)'
           ask s commit
           ask s 'select pg_advisory_unlock(7)'",
    ..IMPATIENT
};

/// One statement each, with a middle that lasts: no boundary between two steps is where it goes wrong.
const INSIDE: [Race; 4] = [
    Race {
        name: "insert what is not there, in one statement",
        schema: "create table voucher (code text not null);",
        racy: "ask s \"insert into voucher select 'A' from pg_sleep(0.1)
                        where not exists (select from voucher where code = 'A')\"",
        sound: "ask s 'select pg_advisory_lock(7)'
                ask s \"insert into voucher select 'A' from pg_sleep(0.1)
                        where not exists (select from voucher where code = 'A')\"
                ask s 'select pg_advisory_unlock(7)'",
        violates: "clean-state",
    },
    Race {
        name: "a function that looks and then writes",
        schema: "create table account (balance int not null); insert into account values (100);
                 create function pay() returns void language plpgsql as $$
                 declare had int;
                 begin
                   select balance into had from account;
                   perform pg_sleep(0.1);
                   update account set balance = had + 10;
                 end $$;
                 create function pay_right() returns void language plpgsql as $$
                 declare had int;
                 begin
                   select balance into had from account for update;
                   perform pg_sleep(0.1);
                   update account set balance = had + 10;
                 end $$;",
        racy: "ask s 'select pay()'",
        sound: "ask s 'select pay_right()'",
        violates: "clean-state",
    },
    Race {
        name: "a procedure that commits on its way",
        schema: "create table item (id int primary key);
                 create table part (item int primary key references item);
                 create procedure refill() language plpgsql as $$
                 begin
                   delete from part; delete from item; commit;
                   insert into item values (1); commit;
                   perform pg_sleep(0.1);
                   insert into part values (1);
                 end $$;",
        racy: "ask s 'call refill()'",
        sound: "ask s 'select pg_advisory_lock(7)'
                ask s 'call refill()'
                ask s 'select pg_advisory_unlock(7)'",
        violates: "no-errors",
    },
    Race {
        name: "a trigger that counts",
        schema: "create table booking (who text not null);
                 create function one_only() returns trigger language plpgsql as $$
                 begin
                   if exists (select from booking) then return null; end if;
                   perform pg_sleep(0.1);
                   return new;
                 end $$;
                 create trigger one_only before insert on booking for each row execute function one_only();",
        racy: "ask s \"insert into booking values ('me')\"",
        sound: "ask s begin
                ask s 'lock table booking in share row exclusive mode'
                ask s \"insert into booking values ('me')\"
                ask s commit",
        violates: "clean-state",
    },
];

fn script(job: &str) -> String {
    let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/lib/sessions.bash");
    format!("set -e\nsource {lib}\nopen s\n{job}\nclose s\n")
}

fn found_within_ten_and_not_where_it_is_sound(race: &Race) {
    let yard = Yard::new();
    yard.write("schema.sql", race.schema);
    yard.write("racy.sh", &script(race.racy));
    yard.write("sound.sh", &script(race.sound));
    let (found, code) = yard.explore(&["--no-shrink"], &["bash", "racy.sh"]);
    assert_eq!(code, 1, "{}: {found:#}", race.name);
    assert_eq!(
        found["invariant"], race.violates,
        "{}: {found:#}",
        race.name
    );
    assert_eq!(found["found"][0]["kind"], "order", "{}", race.name);
    let at = found["first_violation_at"].as_u64().unwrap();
    assert!(at <= 10, "{}: found by schedule {at}", race.name);
    let (sound, code) = yard.explore(&["--all"], &["bash", "sound.sh"]);
    assert_eq!(code, 0, "{}: {sound:#}", race.name);
    assert_eq!(sound["tried"], "predictions");
    let claim = sound["claim"].as_str().unwrap();
    assert!(claim.contains("tried, and none came true"), "{claim}");
}

fn write_skew() {
    found_within_ten_and_not_where_it_is_sound(&RACES[0]);
}

fn a_check_before_an_insert() {
    found_within_ten_and_not_where_it_is_sound(&RACES[1]);
}

fn a_check_before_a_flag_is_set() {
    found_within_ten_and_not_where_it_is_sound(&RACES[2]);
}

fn a_list_that_is_read_before_lock_table() {
    found_within_ten_and_not_where_it_is_sound(&RACES[3]);
}

fn a_row_that_is_picked_up_twice() {
    found_within_ten_and_not_where_it_is_sound(&RACES[4]);
}

fn a_number_that_is_drawn_twice() {
    found_within_ten_and_not_where_it_is_sound(&RACES[5]);
}

fn rows_that_wait_for_their_commit() {
    found_within_ten_and_not_where_it_is_sound(&MERGE);
}

fn a_table_that_is_swapped() {
    found_within_ten_and_not_where_it_is_sound(&SWAP);
}

fn a_wait_that_ends_by_its_time_limit() {
    found_within_ten_and_not_where_it_is_sound(&IMPATIENT);
}

fn a_wait_that_ends_by_a_time_limit_that_no_statement_sets() {
    for race in [&IMPATIENT_FROM_ITS_START, &IMPATIENT_BY_ITS_DATABASE] {
        found_within_ten_and_not_where_it_is_sound(race);
    }
}

fn what_goes_wrong_inside_one_statement() {
    for race in &INSIDE {
        found_within_ten_and_not_where_it_is_sound(race);
    }
}

fn a_lost_update() {
    found_within_ten_and_not_where_it_is_sound(&LOST_UPDATE);
}

/// Tries the lock, and leaves with success where it is taken.
const TRY_AND_LEAVE: &str = "ask s 'select pg_try_advisory_lock(7)'
[ \"$answer\" = t ] || exit 0
ask s 'begin'
ask s 'delete from t'
ask s 'insert into t values (1)'
ask s 'insert into t values (2)'
ask s 'commit'
ask s 'select pg_advisory_unlock(7)'";

fn a_job_that_leaves_when_the_lock_is_taken_is_not_asked_to_wait() {
    let yard = Yard::new();
    yard.write("job.sh", &script(TRY_AND_LEAVE));
    yard.write(
        "job.toml",
        "title = \"try and leave\"\n[subject]\ncommand = [\"bash\", \"job.sh\"]\n\
         schema = \"schema.sql\"\non_contention = \"skip\"\nrelease = \"any\"\n",
    );
    let (told, code) = yard.explore(&["--all", "--scenario", "job.toml"], &[]);
    assert_eq!(code, 0, "{told:#}");
    let apart = told["not_applicable"].as_array().unwrap();
    assert_eq!(apart.len(), 1, "{told:#}");
    assert_eq!(apart[0]["times"], 2, "{told:#}");
    let why = apart[0]["why"].as_str().unwrap();
    assert!(why.contains("does not wait for the lock"), "{why}");
    let people = yard.explored(&["--all", "--scenario", "job.toml"], &[], "human");
    people.fails(0, &["2 schedules do not apply: a pod does not wait"]);
}

/// Sound as long as nothing stops it in its middle: a second run cannot begin from half a job.
const HALF: &str = "ask s 'select pg_advisory_lock(7)'
ask s 'select count(*) from t where a = 2'
if [ \"$answer\" = 0 ]; then
  ask s \"insert into product values (1, 'soap')\"
  ask s 'insert into price values (1, 100)'
  ask s 'insert into t values (2)'
fi
ask s 'select pg_advisory_unlock(7)'";

fn what_only_a_crash_leaves_behind_is_told_apart_from_the_lock() {
    let yard = Yard::new();
    yard.write("job.sh", &script(HALF));
    yard.write(
        "job.toml",
        "title = \"half\"\n[subject]\ncommand = [\"bash\", \"job.sh\"]\n\
         schema = \"schema.sql\"\nrelease = \"any\"\n",
    );
    let options = ["--all", "--no-shrink", "--scenario", "job.toml"];
    let (told, code) = yard.explore(&options, &[]);
    assert_eq!(code, 1, "{told:#}");
    let found = told["found"].as_array().unwrap();
    assert!(!found.is_empty(), "{told:#}");
    assert!(
        found.iter().all(|one| one["kind"] == "after-crash"),
        "{told:#}"
    );
    let people = yard.explored(&options, &[], "human");
    people.fails(
        1,
        &[
            "not safe to repeat after a crash",
            "no rule of the lock was broken",
        ],
    );
}

/// Two migrations: is the table there? if not, make it.
const MADE: &str = "ask s 'select 1'
ask s \"select to_regclass('public.made') is null\"
if [ \"$answer\" = t ]; then ask s 'create table made (a int)'; fi
ask s 'insert into t values (1)'";

fn the_reduced_search_finds_what_the_unreduced_one_finds() {
    let made = Race {
        name: "made",
        schema: crate::yard::SHOP,
        racy: MADE,
        sound: "",
        violates: "no-errors",
    };
    for race in [&made, &RACES[1], &RACES[5]] {
        let yard = Yard::new();
        yard.write("schema.sql", race.schema);
        yard.write("racy.sh", &script(race.racy));
        let found = |more: &[&str]| {
            let options = ["--all", "--no-shrink", "--strategy", "preemptions"];
            let (told, code) = yard.explore(&[&options, more].concat(), &["bash", "racy.sh"]);
            assert_eq!(code, 1, "{}: {told:#}", race.name);
            assert_eq!(told["invariant"], race.violates, "{}: {told:#}", race.name);
            crate::yard::failures(&told)
        };
        assert_eq!(found(&[]), found(&["--unreduced"]), "{}", race.name);
    }
}

crate::harness::tests![
    write_skew,
    what_goes_wrong_inside_one_statement,
    a_check_before_an_insert,
    a_check_before_a_flag_is_set,
    a_list_that_is_read_before_lock_table,
    a_row_that_is_picked_up_twice,
    a_number_that_is_drawn_twice,
    a_lost_update,
    rows_that_wait_for_their_commit,
    a_table_that_is_swapped,
    a_wait_that_ends_by_its_time_limit,
    a_wait_that_ends_by_a_time_limit_that_no_statement_sets,
    a_job_that_leaves_when_the_lock_is_taken_is_not_asked_to_wait,
    what_only_a_crash_leaves_behind_is_told_apart_from_the_lock,
    the_reduced_search_finds_what_the_unreduced_one_finds,
];
