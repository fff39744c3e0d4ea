//! `fletch dead-letters`: what was refused, and why; and sending it again.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use fletch_server::Config;
use fletch_server::operator::{AdminAddress, Ask, ask};
use serde_json::Value;

use super::{admin, option, with_server};

pub(super) fn command() -> Command {
    let topic = || {
        let topic = Arg::new("topic").value_name("TOPIC").required(true);
        topic.help("The topic whose records were refused")
    };
    let common = |command: Command| {
        with_server(command).arg(topic()).arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Answer in JSON"),
        )
    };
    let number = |name, help| {
        option(name, "N", help).value_parser(value_parser!(u64).range(..=i64::MAX as u64))
    };
    let filters = |command: Command| {
        common(command)
            .arg(option("reason", "REASON", "Only of this reason; may be given several times").action(ArgAction::Append))
            .arg(option("since", "TIME", "Only records from this time on: milliseconds since 1970, or how long ago, as 90s, 15m, 6h, 2d"))
            .arg(option("until", "TIME", "Only records before this time"))
            .arg(number("from-offset", "Only from this offset of the dead-letter topic on"))
            .arg(number("to-offset", "Only before this offset"))
            .arg(number("limit", "At most so many [default: all]"))
    };
    Command::new("dead-letters")
        .about("Look at the records that couldn't become rows, and send them again")
        .subcommand_required(true)
        .subcommand(filters(Command::new("list").about("List a topic's dead letters")))
        .subcommand(
            common(Command::new("show").about("Show one dead letter, key, value and headers"))
                .arg(Arg::new("offset").value_name("OFFSET").required(true).value_parser(value_parser!(u64))),
        )
        .subcommand(filters(Command::new("replay").about(
            "Append the records to the topic and partition they were sent to, each once however often \
             this is run",
        )))
}

pub(super) async fn run(matches: &ArgMatches, config: &Config) -> Result<ExitCode, String> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err("there are fletch dead-letters list, show and replay".to_owned());
    };
    let server = admin(matches, config)?;
    let json = matches.get_flag("json");
    let topic = matches
        .get_one::<String>("topic")
        .cloned()
        .unwrap_or_default();
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !topic.chars().all(legal) {
        return Err(format!("{topic:?} is no topic's name"));
    }
    match name {
        "show" => {
            let offset = matches
                .get_one::<u64>("offset")
                .copied()
                .unwrap_or_default();
            let target = format!("/dead-letters/{topic}/{offset}");
            let letter = ask(&server, Ask::Get, &target)
                .await
                .map_err(|error| error.to_string())?;
            if json {
                println!("{letter:#}");
            } else {
                show(&letter);
            }
        }
        "list" => {
            pages(
                &server,
                false,
                &format!("/dead-letters/{topic}"),
                matches,
                |page| {
                    let letters = page["dead_letters"].as_array().cloned().unwrap_or_default();
                    for letter in &letters {
                        if json {
                            println!("{letter}");
                        } else {
                            println!("{}", line(letter));
                        }
                    }
                    letters.len() as u64
                },
            )
            .await?;
        }
        _ => {
            let (mut sent, mut already, mut skipped) = (0, 0, 0);
            pages(
                &server,
                true,
                &format!("/dead-letters/{topic}/replay"),
                matches,
                |page| {
                    let count = |key: &str| page[key].as_u64().unwrap_or_default();
                    let refused = page["skipped"].as_array().cloned().unwrap_or_default();
                    sent += count("replayed");
                    already += count("already");
                    skipped += refused.len() as u64;
                    if json {
                        println!("{page}");
                    } else {
                        for one in &refused {
                            println!("offset {} is skipped: {}", one["offset"], text(&one["why"]));
                        }
                    }
                    count("replayed") + count("already") + refused.len() as u64
                },
            )
            .await?;
            if !json {
                println!("{sent} replayed, {already} had been before, {skipped} skipped");
            }
            if skipped > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for page after page, until there are no more or there were enough.
async fn pages(
    server: &AdminAddress,
    post: bool,
    path: &str,
    matches: &ArgMatches,
    mut take: impl FnMut(&Value) -> u64,
) -> Result<(), String> {
    let mut query = String::new();
    for reason in matches.get_many::<String>("reason").into_iter().flatten() {
        query += &format!("reason={}&", reason.replace(['&', '=', '#', ' ', '%'], "_"));
    }
    for (name, key) in [("since", "since_ms"), ("until", "until_ms")] {
        if let Some(time) = matches.get_one::<String>(name) {
            query += &format!("{key}={}&", time_ms(time)?);
        }
    }
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    if let Some(end) = number("to-offset") {
        query += &format!("to_offset={end}&");
    }
    let mut left = number("limit").unwrap_or(u64::MAX);
    let mut from = number("from-offset").unwrap_or(0);
    while left > 0 {
        let limit = left.min(if post { 5_000 } else { 1_000 });
        let target = format!("{path}?{query}from_offset={from}&limit={limit}");
        let page = ask(server, if post { Ask::Post } else { Ask::Get }, &target)
            .await
            .map_err(|error| error.to_string())?;
        left = left.saturating_sub(take(&page));
        match page.get("next_offset").and_then(Value::as_u64) {
            Some(next) if next > from => from = next,
            _ => break,
        }
    }
    Ok(())
}

/// `1700000000000`, or `15m`: so long ago.
fn time_ms(text: &str) -> Result<i64, String> {
    let wrong =
        || format!("{text:?} is no time: milliseconds since 1970, or 90s, 15m, 6h, 2d (ago)");
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let count: i64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let ago = count.checked_mul(seconds * 1000).ok_or_else(wrong)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - ago)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// One line of a list.
fn line(letter: &Value) -> String {
    let source = &letter["source"];
    let place = match letter["path"].as_str() {
        Some(path) => format!(" at {path}"),
        None => String::new(),
    };
    format!(
        "{}\t{}-{}@{}\t{}\t{}{place}{}",
        letter["offset"],
        text(&source["topic"]),
        source["partition"],
        source["offset"],
        text(&letter["reason"]),
        text(&letter["message"]),
        if letter["replayed"] == true {
            "\t(replayed)"
        } else {
            ""
        },
    )
}

fn show(letter: &Value) {
    println!("{}", line(letter));
    println!("timestamp: {}", letter["timestamp"]);
    println!("schema id: {}", letter["schema_id"]);
    if let Some(decoder) = letter["decoder"].as_str() {
        println!("decoder: {decoder}");
    }
    println!("key:   {}", bytes(&letter["key"]));
    println!("value: {}", bytes(&letter["value"]));
    for header in letter["headers"].as_array().into_iter().flatten() {
        println!(
            "header {}: {}",
            bytes(&header["key"]),
            bytes(&header["value"])
        );
    }
}

/// Text as it is, other bytes in base64.
fn bytes(value: &Value) -> String {
    match (value["text"].as_str(), value["base64"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (_, Some(base64)) => format!("base64:{base64}"),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time_ms("1700000000000"), Ok(1_700_000_000_000));
        let hour = time_ms("1h").unwrap();
        let minutes = time_ms("60m").unwrap();
        assert!((minutes - hour).abs() < 5_000);
        for wrong in ["", "h", "1w", "x", "99999999999999999d"] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
    }
}
