//! `fletch users`: who may log in by a password.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use fletch_server::Config;
use fletch_server::config::Secret;
use fletch_server::operator::{Ask, ask};
use serde_json::json;

use super::{admin, option, with_server};

/// Where a new user's password is read from, if not from a file or standard input.
const NEW_PASSWORD: &str = "FLETCH_NEW_PASSWORD";
/// A longer password is a mistake.
const PASSWORD_BYTES_MAX: u64 = 4096;

pub(super) fn command() -> Command {
    let name = || {
        let name = Arg::new("name").value_name("NAME").required(true);
        name.help("The user")
    };
    let add = Command::new("add")
        .about(
            "Make a user, or give one another password. It is read from the environment \
             (FLETCH_NEW_PASSWORD), from a file, or from standard input, never from the command line",
        )
        .arg(name())
        .arg(option("password-file", "FILE", "A file with the password"));
    Command::new("users")
        .about("Say who may log in by a password")
        .subcommand_required(true)
        .subcommand(with_server(add))
        .subcommand(with_server(Command::new("list").about("List the users")))
        .subcommand(with_server(
            Command::new("remove").about("Take a user away").arg(name()),
        ))
}

pub(super) async fn run(matches: &ArgMatches, config: &Config) -> Result<ExitCode, String> {
    let Some((command, matches)) = matches.subcommand() else {
        return Err("there are fletch users add, list and remove".to_owned());
    };
    let server = admin(matches, config)?;
    let name = matches.try_get_one::<String>("name").ok().flatten();
    let target = name.map_or_else(String::new, |name| format!("/users/{}", escaped(name)));
    let asked = match command {
        "add" => {
            let password = new_password(matches)?;
            let body = json!({"password": password.reveal()});
            ask(&server, Ask::Put(&body), &target).await
        }
        "remove" => ask(&server, Ask::Delete, &target).await,
        _ => ask(&server, Ask::Get, "/users").await,
    };
    let answer = asked.map_err(|error| error.to_string())?;
    let users = answer.get("users").and_then(|users| users.as_array());
    for user in users.into_iter().flatten() {
        let mechanisms = user["mechanisms"].as_array().into_iter().flatten();
        let mechanisms: Vec<_> = mechanisms
            .filter_map(|mechanism| mechanism.as_str())
            .collect();
        let configured = match user["configured"].as_bool() {
            Some(true) => "  (of the configuration)",
            _ => "",
        };
        let name = user["name"].as_str().unwrap_or_default();
        println!("{name}  {}{configured}", mechanisms.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn new_password(matches: &ArgMatches) -> Result<Secret, String> {
    let text = match matches.get_one::<String>("password-file") {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        None => match std::env::var(NEW_PASSWORD) {
            Ok(password) => password,
            Err(_) if std::io::stdin().is_terminal() => typed()?,
            Err(_) => {
                let mut text = String::new();
                let read = std::io::stdin()
                    .lock()
                    .take(PASSWORD_BYTES_MAX)
                    .read_to_string(&mut text);
                read.map_err(|error| error.to_string())?;
                text
            }
        },
    };
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("there is no password".to_owned()),
        password => Ok(Secret::new(password)),
    }
}

/// A password from the terminal, which doesn't show it; so it is asked for twice.
fn typed() -> Result<String, String> {
    let ask = |prompt| rpassword::prompt_password(prompt).map_err(|error| error.to_string());
    let password = ask("Password (it isn't shown): ")?;
    match ask("The same again: ")? == password {
        true => Ok(password),
        false => Err("they are not the same".to_owned()),
    }
}

/// A name as a part of a path (RFC 3986).
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
