//! Logging in: who is let in and who isn't, what is served before, how users come and go, and that no
//! secret is shown.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fletch_wire::messages::alter_user_scram_credentials::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use fletch_wire::messages::{
    AlterUserScramCredentialsRequest, ApiVersionsRequest, DescribeUserScramCredentialsRequest,
    MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use fletch_wire::{ApiKey, ErrorCode};
use rustls::version::{TLS12, TLS13};
use support::certificates::{Authority, client_config, connect};
use support::login::{ADMIN, flags, start};
use support::{Client, Server, batch, fletch, folder};

const PLAINTEXT: &str = "SASL_PLAINTEXT://127.0.0.1:0";
const UNENCRYPTED: &str = "--sasl-plain-unencrypted=true";

fn users(server: &Server, arguments: &[&str], password: Option<&str>) -> (bool, String, String) {
    let data = server.data();
    let mut command = fletch(data.parent().expect("a folder"));
    command.arg("users").args(arguments).stdin(Stdio::null());
    command.envs(password.map(|password| ("FLETCH_NEW_PASSWORD", password)));
    let output = command.output().expect("the binary");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn who_has_a_password_is_let_in_and_nobody_else() {
    let server = start(&flags(PLAINTEXT, &[UNENCRYPTED]));
    let mut client = server.client();
    assert_eq!(client.plain(ADMIN.0, ADMIN.1).error_code, ErrorCode::NONE);
    client.metadata("orders");
    assert_eq!(
        client.produce("orders", batch(&["a"])).error_code,
        ErrorCode::NONE
    );
    let mut answers = Vec::new();
    for (user, password) in [(ADMIN.0, "wrong"), ("nobody", ADMIN.1), ("nobody", "wrong")] {
        let mut client = server.client();
        let begun = Instant::now();
        let answer = client.plain(user, password);
        assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
        assert!(
            begun.elapsed() >= Duration::from_millis(50),
            "it is answered at once"
        );
        assert!(client.is_closed());
        answers.push(answer);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    let failed = "kafka_logins{mechanism=\"PLAIN\",result=\"wrong_password\"}";
    assert_eq!(server.metric(failed), 3.0);
    assert!(!server.log().contains("wrong\"") && !server.log().contains(ADMIN.1));
}

#[test]
fn a_flood_of_failed_logins_has_few_lines_in_the_log_and_all_of_them_count() {
    const LOGINS: usize = 60;
    const LINES_PER_SECOND: usize = 10;
    let mut flags = flags(PLAINTEXT, &[UNENCRYPTED]);
    flags.retain(|flag| !flag.starts_with("--sasl-failure-delay-ms"));
    flags.push("--sasl-failure-delay-ms=0".to_owned());
    let server = start(&flags);
    let begun = Instant::now();
    for _ in 0..LOGINS {
        let answer = server.client().plain("nobody", "wrong");
        assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few");
    let failed = "kafka_logins{mechanism=\"PLAIN\",result=\"wrong_password\"}";
    assert_eq!(server.metric(failed), LOGINS as f64);
    let deadline = begun + support::PATIENCE;
    loop {
        let log = server.log();
        let said = log
            .lines()
            .filter(|line| line.contains("login refused"))
            .count();
        assert!(said <= LINES_PER_SECOND * (seconds + 2), "{log}");
        // "... WARN 50 more logins were refused withheld=50"
        let counted = log.lines().filter_map(|line| {
            let (before, _) = line.split_once(" more logins were refused")?;
            before.rsplit_once(' ')?.1.parse::<usize>().ok()
        });
        if said + counted.sum::<usize>() == LOGINS {
            return;
        }
        assert!(Instant::now() < deadline, "{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn before_the_login_next_to_nothing_is_served() {
    let server = start(&flags(
        PLAINTEXT,
        &[UNENCRYPTED, "--kafka-authentication-timeout-ms=2000"],
    ));
    let mut client = server.client();
    let versions = client.call(&ApiVersionsRequest::default(), 0);
    assert!(
        versions
            .api_keys
            .iter()
            .any(|api| api.api_key == ApiKey::SASL_AUTHENTICATE.0)
    );
    client.send(&MetadataRequest::default(), 12);
    assert!(client.is_closed());
    // Out of turn.
    let mut client = server.client();
    assert_eq!(
        client.step(b"\0root\0correct-horse").error_code,
        ErrorCode::ILLEGAL_SASL_STATE
    );
    assert!(client.is_closed());
    // A mechanism that there isn't; the answer says which there are.
    let mut client = server.client();
    let answer = client.choose("GSSAPI");
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    let offered: Vec<_> = answer
        .mechanisms
        .iter()
        .map(|name| name.to_string())
        .collect();
    assert_eq!(offered, ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]);
    assert!(client.is_closed());
    // A frame that is no login's.
    let mut client = server.client();
    client.write(&(65_537_u32).to_be_bytes()).unwrap();
    assert!(client.is_closed());
    // Time runs out for who drips, and for who goes on asking for versions.
    let mut slow = server.client();
    slow.write(&[0, 0]).unwrap();
    let mut busy = server.client();
    let begun = Instant::now();
    while busy.try_call(&ApiVersionsRequest::default(), 0).is_ok() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it may go on for ever"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(slow.is_closed());
    assert!(begun.elapsed() >= Duration::from_millis(1500));
}

#[test]
fn plain_needs_encryption_or_to_be_asked_for() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    let path = |name: &str| files.path().join(name).display().to_string();
    let server = start(&flags(
        "SASL_PLAINTEXT://127.0.0.1:0,SASL_SSL://127.0.0.1:0",
        &[
            &format!("--tls-certificate-path={}", path("server.crt")),
            &format!("--tls-key-path={}", path("server.key")),
        ],
    ));
    let refused = server.client().choose("PLAIN");
    assert_eq!(refused.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    let config = client_config(&authority.pem, None, &[&TLS12, &TLS13]);
    let (mut client, _) = connect(server.listeners["SASL_SSL"], config).unwrap();
    assert_eq!(client.plain(ADMIN.0, ADMIN.1).error_code, ErrorCode::NONE);
    client.metadata("orders");
    let large = "x".repeat(200_000);
    assert_eq!(
        client.produce("orders", batch(&[&large])).error_code,
        ErrorCode::NONE
    );
    assert_eq!(client.values("orders", 0), [(0, large.into_bytes())]);
}

#[test]
fn old_clients_send_what_are_no_requests() {
    let server = start(&flags(PLAINTEXT, &[UNENCRYPTED]));
    let handshake = SaslHandshakeRequest {
        mechanism: "PLAIN".into(),
        ..Default::default()
    };
    for (password, is_let_in) in [(ADMIN.1, true), ("wrong", false)] {
        let mut client = server.client();
        assert_eq!(client.call(&handshake, 0).error_code, ErrorCode::NONE);
        let token = format!("\0{}\0{password}", ADMIN.0);
        let length = u32::try_from(token.len()).unwrap().to_be_bytes();
        client.write(&[&length, token.as_bytes()].concat()).unwrap();
        if is_let_in {
            assert!(client.read_frame().unwrap().is_empty());
            client.call(&MetadataRequest::default(), 12);
        } else {
            assert!(client.is_closed());
        }
    }
}

/// Who asks for the challenge of a stranger learns nothing: it looks like a user's, and stays the same.
#[test]
fn strangers_are_challenged_like_users() {
    let server = start(&flags(PLAINTEXT, &[]));
    let challenge = |server: &Server, user: &str| {
        let mut client = server.client();
        assert_eq!(client.choose("SCRAM-SHA-512").error_code, ErrorCode::NONE);
        let answer = client.step(format!("n,,n={user},r=abc").as_bytes());
        assert_eq!(answer.error_code, ErrorCode::NONE);
        let text = String::from_utf8(answer.auth_bytes.to_vec()).unwrap();
        let (nonce, rest) = text.split_once(',').unwrap();
        assert!(nonce.starts_with("r=abc"));
        rest.to_owned()
    };
    let (known, unknown) = (challenge(&server, ADMIN.0), challenge(&server, "nobody"));
    assert_eq!(known.len(), unknown.len());
    assert_eq!(unknown, challenge(&server, "nobody"));
    assert_ne!(unknown, challenge(&server, "somebody"));
    let data = server.kill();
    let arguments = flags(PLAINTEXT, &[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start_in(data, &arguments);
    assert_eq!(
        unknown,
        challenge(&server, "nobody"),
        "a restart tells strangers from users"
    );
}

#[test]
fn users_come_and_go_and_are_kept() {
    let server = start(&flags(PLAINTEXT, &[UNENCRYPTED]));
    let lets_in = |server: &Server, user: &str, password: &str| {
        server.client().plain(user, password).error_code == ErrorCode::NONE
    };
    assert!(users(&server, &["add", "an na/ü"], Some("first")).0);
    assert!(users(&server, &["add", "bert"], Some("second")).0);
    assert!(lets_in(&server, "an na/ü", "first") && lets_in(&server, "bert", "second"));
    let (_, list, _) = users(&server, &["list"], None);
    assert!(
        list.contains("an na/ü  SCRAM-SHA-256, SCRAM-SHA-512\n"),
        "{list}"
    );
    assert!(list.contains("root  SCRAM-SHA-256, SCRAM-SHA-512  (of the configuration)"));
    // Another password, and one less.
    assert!(users(&server, &["add", "bert"], Some("third")).0);
    assert!(!lets_in(&server, "bert", "second") && lets_in(&server, "bert", "third"));
    assert!(users(&server, &["remove", "an na/ü"], None).0);
    assert!(!lets_in(&server, "an na/ü", "first"));
    assert!(!users(&server, &["remove", "an na/ü"], None).0);
    let (done, _, why) = users(&server, &["add", "root"], Some("fourth"));
    assert!(!done && why.contains("configuration"), "{why}");
    let data = server.kill();
    // Nothing of a password is in the log.
    let log = fs::read_dir(data.path().join("data/log")).unwrap();
    for file in log {
        let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
        for secret in ["first", "second", "third", ADMIN.1] {
            assert!(
                !bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            );
        }
    }
    let arguments = flags(PLAINTEXT, &[UNENCRYPTED]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start_in(data, &arguments);
    assert!(lets_in(&server, "bert", "third") && !lets_in(&server, "an na/ü", "first"));
}

/// Types what it is given as lines at a terminal that it makes, each when nothing typed is shown, and prints what
/// the terminal shows.
const TERMINAL: &str = r#"
import os, pty, sys, termios, time
lines, command = sys.argv[1].split(","), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
shown = b""
def read():
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
for line in lines:
    while not shown.endswith(b": "):
        more = read()
        if not more:
            sys.exit("it ends: " + shown.decode())
        shown += more
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        time.sleep(0.01)
    os.write(terminal, line.encode() + b"\n")
    shown += b"|"
while more := read():
    shown += more
print(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let server = start(&flags(PLAINTEXT, &[UNENCRYPTED]));
    let add = |typed: &str| {
        let mut command = Command::new("python3");
        command.current_dir(server.data().parent().expect("a folder"));
        command.args(["-c", TERMINAL, typed, env!("CARGO_BIN_EXE_fletch")]);
        command.args(["users", "add", "anna"]);
        command.output()
    };
    let Ok(output) = add("hidden-one,hidden-one") else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        shown.matches('|').count() == 2 && !shown.contains("hidden"),
        "{shown}"
    );
    let mut client = server.client();
    assert_eq!(
        client.plain("anna", "hidden-one").error_code,
        ErrorCode::NONE
    );
    // A slip changes nothing.
    let output = add("hidden-two,hidden-tow").expect("python3");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && shown.contains("not the same"),
        "{output:?}"
    );
    let mut client = server.client();
    assert_eq!(
        client.plain("anna", "hidden-one").error_code,
        ErrorCode::NONE
    );
}

#[test]
fn no_more_users_than_there_may_be() {
    let server = start(&flags(PLAINTEXT, &["--sasl-users-max=1"]));
    assert!(users(&server, &["add", "anna"], Some("first")).0);
    let (done, _, why) = users(&server, &["add", "bert"], Some("second"));
    assert!(!done && why.contains("sasl.users_max"), "{why}");
    // Another password is no other user; and a place comes back.
    assert!(users(&server, &["add", "anna"], Some("third")).0);
    assert!(users(&server, &["remove", "anna"], None).0);
    assert!(users(&server, &["add", "bert"], Some("second")).0);
}

#[test]
fn credentials_are_changed_as_kafka_changes_them() {
    let server = start(&flags(PLAINTEXT, &[UNENCRYPTED]));
    let mut client = server.client();
    assert_eq!(client.plain(ADMIN.0, ADMIN.1).error_code, ErrorCode::NONE);
    let upsertion = |name: &str, iterations, salt: usize, salted: usize| ScramCredentialUpsertion {
        name: name.into(),
        mechanism: 1,
        iterations,
        salt: vec![7; salt].into(),
        salted_password: vec![9; salted].into(),
        ..Default::default()
    };
    let deletion = |name: &str| ScramCredentialDeletion {
        name: name.into(),
        mechanism: 2,
        ..Default::default()
    };
    let request = AlterUserScramCredentialsRequest {
        upsertions: vec![
            upsertion("anna", 4096, 8, 32),
            upsertion("few", 4095, 8, 32),
            upsertion("many", 16_385, 8, 32),
            upsertion("salt", 4096, 7, 32),
            upsertion("short", 4096, 8, 31),
            upsertion("twice", 4096, 8, 32),
            upsertion("twice", 4096, 8, 32),
        ],
        deletions: vec![deletion("nobody"), deletion(ADMIN.0)],
        ..Default::default()
    };
    let answer = client.call(&request, 0);
    let results: Vec<_> = answer
        .results
        .iter()
        .map(|result| (&*result.user, result.error_code))
        .collect();
    assert_eq!(
        results,
        [
            ("anna", ErrorCode::NONE),
            ("few", ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("many", ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("nobody", ErrorCode::RESOURCE_NOT_FOUND),
            (ADMIN.0, ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("salt", ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("short", ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("twice", ErrorCode::DUPLICATE_RESOURCE),
        ]
    );
    let answer = client.call(&DescribeUserScramCredentialsRequest::default(), 0);
    let told: Vec<_> = answer
        .results
        .iter()
        .map(|result| (&*result.user, result.credential_infos.len()))
        .collect();
    assert_eq!(told, [("anna", 1), (ADMIN.0, 2)]);
    assert_eq!(answer.results[0].credential_infos[0].iterations, 4096);
}

#[test]
fn a_session_ends_unless_the_client_logs_in_again() {
    let server = start(&flags(
        PLAINTEXT,
        &[UNENCRYPTED, "--sasl-session-ms-max=1500"],
    ));
    assert!(users(&server, &["add", "anna"], Some("first")).0);
    let begun = Instant::now();
    let (mut renewed, mut ended, mut other) = (server.client(), server.client(), server.client());
    for client in [&mut renewed, &mut ended, &mut other] {
        let answer = client.plain(ADMIN.0, ADMIN.1);
        assert_eq!(answer.session_lifetime_ms, 1500);
        client.call(&MetadataRequest::default(), 12);
    }
    // As another: no.
    assert_eq!(
        other.plain("anna", "first").error_code,
        ErrorCode::SASL_AUTHENTICATION_FAILED
    );
    assert!(other.is_closed());
    while begun.elapsed() < Duration::from_millis(2500) {
        assert_eq!(renewed.plain(ADMIN.0, ADMIN.1).error_code, ErrorCode::NONE);
        renewed.call(&MetadataRequest::default(), 12);
        std::thread::sleep(Duration::from_millis(100));
    }
    ended.send(&MetadataRequest::default(), 12);
    assert!(ended.is_closed());
    assert_eq!(
        server.metric("kafka_connections_closed{reason=\"session_ended\"}"),
        1.0
    );
}

#[test]
fn a_login_where_none_is_asked_for_is_out_of_turn() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(
        client.choose("PLAIN").error_code,
        ErrorCode::ILLEGAL_SASL_STATE
    );
    let request = SaslAuthenticateRequest::default();
    assert_eq!(
        client.call(&request, 2).error_code,
        ErrorCode::ILLEGAL_SASL_STATE
    );
    client.call(&MetadataRequest::default(), 12);
}

/// In files, in the environment and in flags; in errors, the log and the printed configuration.
#[test]
fn no_secret_is_shown() {
    let folder = folder();
    let secrets = ["s3cret-admin", "s3cret-registry", "s3cret-user"];
    fs::write(folder.path().join("admin"), format!("{}\n", secrets[0])).unwrap();
    fs::write(folder.path().join("registry"), secrets[1]).unwrap();
    fs::write(
        folder.path().join("users"),
        format!("# users\nanna:{}\n", secrets[2]),
    )
    .unwrap();
    let set = |command: &mut Command| {
        command
            .env("SASL_ADMIN_USERNAME", "root")
            .env("SASL_ADMIN_PASSWORD_PATH", "admin")
            .env("SASL_USERS_PATH", folder.path().join("users"))
            .env("REGISTRY_URL", "http://localhost:1")
            .env("REGISTRY_USERNAME", "u")
            .env("REGISTRY_PASSWORD_PATH", "registry");
    };
    let mut printed = Vec::new();
    let mut run = |prepare: &dyn Fn(&mut Command)| {
        let mut command = fletch(folder.path());
        command.arg("config");
        prepare(&mut command);
        let output = command.output().unwrap();
        printed.extend([output.stdout, output.stderr]);
        output.status.success()
    };
    assert!(run(&set));
    // Both are given: an error, which doesn't say either.
    assert!(!run(&|command| {
        set(command);
        command.env("SASL_ADMIN_PASSWORD", secrets[1]);
    }));
    assert!(!run(&|command| {
        command.env("SASL_ADMIN_PASSWORD", secrets[0]);
    }));
    fs::write(folder.path().join("bad-users"), secrets[2]).unwrap();
    let mut bad = fletch(folder.path());
    set(&mut bad);
    let output = bad
        .env("SASL_USERS_PATH", "bad-users")
        .env("KAFKA_PORT", "0")
        .env("HTTP_PORT", "0")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("line 1"), "{said}");
    printed.extend([output.stdout, output.stderr]);
    let server = start(&flags(
        PLAINTEXT,
        &[
            UNENCRYPTED,
            "--log-level=trace",
            &format!(
                "--sasl-users-path={}",
                folder.path().join("users").display()
            ),
        ],
    ));
    let answer = server.client().plain("anna", secrets[2]);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    server.client().plain("anna", "s3cret-wrong");
    let mut scram: Client = server.client();
    scram.choose("SCRAM-SHA-256");
    scram.step(b"n,,n=anna,r=abc");
    printed.push(server.log().into_bytes());
    for text in printed {
        let text = String::from_utf8_lossy(&text);
        let shown = secrets.iter().chain([&ADMIN.1, &"s3cret-wrong"]);
        for secret in shown {
            assert!(!text.contains(secret), "{secret} is shown in {text}");
        }
    }
}
