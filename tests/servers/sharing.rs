//! One server for several processes, by its lease.

use lockproof::internals::server::Server;

use crate::holder::*;
use crate::looks::*;

fn processes_share_a_server_and_the_last_one_out_stops_it() {
    let machine = machine();
    let mut holders: Vec<Holder> = (0..4)
        .map(|_| Holder::start("local", machine.path(), &[]))
        .collect();
    let said: Vec<Said> = holders.iter_mut().map(Holder::said).collect();
    let url = &said[0].url;
    assert!(
        said.iter().all(|other| other.port == said[0].port),
        "{said:?}"
    );
    assert_eq!(databases(url).len(), 4);
    let home = data_home(machine.path());
    let keeper = keeper(machine.path());
    let last = holders.pop().unwrap();
    for holder in holders {
        holder.release();
    }
    assert_eq!(databases(url), std::slice::from_ref(&said[3].database));
    last.release();
    // At once: whoever was told that it is released may look.
    assert!(!answers(url));
    assert!(!home.exists());
    becomes(
        "the keeper to be gone",
        || runs(keeper.unsigned_abs()),
        |runs| !runs,
    );
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn a_shared_server_that_crashed_is_replaced() {
    let machine = machine();
    let mut first = Holder::start("local", machine.path(), &[]);
    let before = first.said();
    let home = data_home(machine.path());
    sigkill(postmaster(machine.path()));
    let mut second = Holder::start("local", machine.path(), &[]);
    let after = second.said();
    assert_eq!(after.error, None);
    assert!(answers(&after.url));
    assert!(!answers(&before.url));
    second.release();
    first.kill();
    becomes(
        "the crashed server's data to be gone",
        || home.exists(),
        |there| !there,
    );
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn a_keeper_that_was_killed_is_replaced_by_the_next_holder() {
    let machine = machine();
    let mut first = Holder::start("local", machine.path(), &[]);
    first.said();
    let old = keeper(machine.path());
    sigkill(old);
    let mut second = Holder::start("local", machine.path(), &[]);
    let said = second.said();
    let new = keeper(machine.path());
    assert_ne!(old, new);
    first.release();
    assert!(answers(&said.url));
    second.kill();
    becomes(
        "the server to be stopped",
        || answers(&said.url),
        |answers| !answers,
    );
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn takers_and_givers_in_a_hurry_always_have_a_server_that_answers() {
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                runtime().block_on(async {
                    for _ in 0..5 {
                        let server = Server::acquire(&options("local")).await.unwrap();
                        let database = server.create_database("hurry", None).await.unwrap();
                        server.connect(&database.name).await.unwrap();
                        server.release().await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

crate::harness::tests![
    processes_share_a_server_and_the_last_one_out_stops_it,
    a_shared_server_that_crashed_is_replaced,
    a_keeper_that_was_killed_is_replaced_by_the_next_holder,
    takers_and_givers_in_a_hurry_always_have_a_server_that_answers,
];
