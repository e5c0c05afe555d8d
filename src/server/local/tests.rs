//! A port that somebody else takes between the choice and the start.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::server::binaries;

/// A directory that the server's user can reach.
fn reachable() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// One that answers at this port and is no server of ours: it says Postgres's no.
fn stranger() -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for mut client in taken.incoming().flatten() {
            let mut start = [0_u8; 8];
            let _ = io::Read::read(&mut client, &mut start);
            let no = b"E\0\0\0\x1eSFATAL\0VFATAL\0C28P01\0Mno\0\0";
            let _ = io::Write::write_all(&mut client, no);
        }
    });
    listener
}

#[tokio::test]
async fn a_port_that_was_taken_after_the_choice_is_left_for_another() {
    let Ok(binaries) = binaries::find(None) else {
        return;
    };
    let folder = reachable();
    let password = Secret::new("secret".to_owned());
    let home = folder.path().join("home");
    let first = start(&binaries, folder.path(), &home, &password, false)
        .await
        .unwrap_or_else(|why| panic!("{why}"));
    // A server with the same user and password lets us in, a stranger nobody.
    let stranger = stranger();
    let strange = stranger.local_addr().unwrap().port();
    let mut ports = vec![strange, first.address.port];
    let home = folder.path().join("second");
    let user = run_as().unwrap();
    fs::create_dir(&home).unwrap();
    fs::write(home.join("password"), password.expose()).unwrap();
    if let Some(user) = &user {
        for path in [home.clone(), home.join("password")] {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }
    initdb(&binaries, &home, user.as_ref()).unwrap();
    let launch = Launch {
        folder: binaries.folder.clone(),
        data: home.join("data"),
        home,
        port: 0,
        alone: false,
    };
    let choose = || ports.pop().map_or_else(port::free, Ok);
    let second = launch.start_on(choose, &password).await;
    let (launch, second) = second.unwrap_or_else(|why| panic!("{why}"));
    assert!(![strange, first.address.port].contains(&second.address.port));
    assert!(launch.is_up(&second.postmaster));
    home::stop(&launch.data);
    home::stop(&folder.path().join("home/data"));
}
