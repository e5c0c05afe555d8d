//! A port that somebody takes between its choice and PgBouncer's start is left for another.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lockproof::internals::server::Pooler;

use crate::harness::{Need, need};
use crate::sandbox::{Sandbox, becomes, finish};

/// Notes the port that it is to take, waits at its first start until the test has taken that port, and
/// becomes the real PgBouncer.
const SLOW: &str = "#!/bin/sh
port=$(sed -n 's/^listen_port *= *//p' \"$1\")
echo \"$port\" >> $PLACE/ports
left=3000
while [ ! -e $PLACE/taken ]; do
    left=$((left - 1))
    if [ $left = 0 ]; then echo \"nobody took port $port in 30 s\"; exit 1; fi
    sleep 0.01
done
exec $REAL \"$1\"
";

/// Takes a port, and says Postgres's no to whoever comes.
fn take(port: u16) {
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut client in taken.incoming().flatten() {
            let mut start = [0_u8; 8];
            let _ = client.read(&mut start);
            let _ = client.write_all(b"E\0\0\0\x1eSFATAL\0VFATAL\0C28P01\0Mno\0\0");
        }
    });
}

fn ports(place: &Path) -> Vec<u16> {
    std::fs::read_to_string(place.join("ports"))
        .unwrap_or_default()
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.parse().ok())
        .collect()
}

fn a_port_that_was_taken_after_the_choice_is_left_for_another() {
    need(Need::PgBouncer);
    let sandbox = Sandbox::new();
    sandbox.write("good.toml", super::left::scenario("select 1"));
    // Where this is root, the pooler is run by another user.
    let place = sandbox.work().join("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777)).unwrap();
    let real = Pooler::program().unwrap();
    let text = SLOW
        .replace("$PLACE", &place.display().to_string())
        .replace("$REAL", &real.display().to_string());
    let slow = sandbox.write("pgbouncer", text);
    std::fs::set_permissions(&slow, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = sandbox.command(&["run", "good.toml", "--server", "local"]);
    let child = command.env("LOCKPROOF_PGBOUNCER", &slow).spawn().unwrap();
    let chosen = becomes(
        "a port to be chosen",
        Duration::from_secs(60),
        || ports(&place),
        |ports| !ports.is_empty(),
    );
    take(chosen[0]);
    std::fs::write(place.join("taken"), "").unwrap();
    let done = finish(child);
    assert_eq!(done.code, Some(0), "{done}");
    let chosen = ports(&place);
    assert!(chosen.len() >= 2, "{chosen:?}");
    assert!(!chosen[1..].contains(&chosen[0]), "{chosen:?}");
    sandbox.is_clear("after the run");
}

crate::harness::tests![a_port_that_was_taken_after_the_choice_is_left_for_another];
