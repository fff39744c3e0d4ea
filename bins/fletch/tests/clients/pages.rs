//! Pages that say what the tests do, held to it.

use std::fs;

use crate::CLIENTS;
use crate::install;
use crate::matrix::Client;
use crate::workload::Headers;

fn read(page: &str) -> String {
    let path = install::repository().join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The table of clients on the compatibility page has what each test has its client do.
#[test]
fn compatibility_page_shows_what_is_tested() {
    let page = read("docs/compatibility.md");
    let rows: Vec<String> = CLIENTS.iter().map(|client| row(client)).collect();
    let table = rows.join("\n");
    assert!(
        page.contains(&table),
        "docs/compatibility.md, ## Clients, should show:\n{table}"
    );
    for client in CLIENTS {
        if let Some((list, text)) = client.pin {
            let listed = read(&format!("tests/clients/{list}")).contains(text);
            assert!(
                listed,
                "{}: tests/clients/{list} does not say {text}",
                client.title
            );
        }
    }
}

fn row(client: &Client) -> String {
    let features = &client.features;
    let idempotent = match features.idempotent_in_flight {
        0 => "-".to_owned(),
        in_flight => format!("{in_flight} in flight"),
    };
    let headers = match features.headers {
        Headers::None => "-",
        Headers::Single => "one value a key",
        Headers::Grouped => "repeated keys",
        Headers::Ordered => "repeated keys, any order",
        Headers::Nullable => "repeated keys, any order, null values",
    };
    let keys = if features.empty_keys {
        "null, empty, bytes"
    } else {
        "null, bytes"
    };
    let timestamps = if features.timestamps {
        "the caller's, the clock's"
    } else {
        "the clock's"
    };
    format!(
        "| {} | {} | {idempotent} | {headers} | {keys} | {timestamps} |",
        client.title,
        features.codecs.join(", ")
    )
}

/// A page that shows a program shows the one that runs.
#[test]
fn pages_show_the_examples_as_they_are() {
    for page in ["README.md", "examples/README.md"] {
        let text = read(page);
        for shown in text.split("<!-- examples/").skip(1) {
            let (example, rest) = shown.split_once(" -->\n").expect("a closed comment");
            let program = read(&format!("examples/{example}"));
            let fenced = format!("```python\n{program}```\n");
            assert!(
                rest.starts_with(&fenced),
                "{page} does not show {example} as it is"
            );
        }
    }
}
