//! Measures Avro to Arrow, ours beside others', in one run.
//!
//! `cargo run --release -- [section ...]`; without sections, all of them.

mod check;
mod contenders;
mod data;
mod measure;

use std::time::Instant;

use contenders::{ArrowAvro, apache_avro, arrow_avro, copying, decoder, ours, serde_avro_fast};
use data::{Distribution, ID, Numbers, OTHER_ID, REFERENCE, Text};
use fletch_columnar::{InstructionSet, Options};
use fletch_columnar::avro::Schema;
use measure::{Case, compare};

/// Messages a batch, where nothing else is said.
const BATCH: usize = 10_000;

const SECTIONS: [(&str, fn()); 8] = [
    ("shapes", shapes),
    ("sets", sets),
    ("projection", projection),
    ("writers", writers),
    ("resolution", resolution),
    ("corrupt", corrupt),
    ("sizes", sizes),
    ("compile", compile),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for (name, section) in SECTIONS {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            section();
        }
    }
    if chosen.is_empty() || chosen.iter().any(|c| c.starts_with("distributions")) {
        distributions();
    }
}

fn refs(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(Vec::as_slice).collect()
}

/// Ours and `arrow-avro`'s over one schema's messages, compared and then timed.
fn pair<'a>(name: &str, schema: &str, messages: &'a [&'a [u8]]) -> Vec<Case<'a>> {
    let writers = [(ID, schema)];
    let rows = messages.len();
    let mut mine = decoder(schema, &writers, Options::default());
    check::same(name, &mut mine, &mut ArrowAvro::new(None, &writers, rows), messages);
    vec![
        Case::new("arrow-avro", messages, arrow_avro(ArrowAvro::new(None, &writers, rows))),
        Case::new("fletch-columnar", messages, ours(mine)),
    ]
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "only their making is measured")]
struct Event {
    timestamp: i64,
    event: String,
    user_id: i32,
}

fn shapes() {
    let messages = data::a_messages(BATCH, REFERENCE, |_| ID);
    let messages = refs(&messages);
    let mut cases = pair("A", data::A, &messages);
    cases.push(Case::new("serde_avro_fast (structs)", &messages, serde_avro_fast::<Event>(data::A)));
    cases.push(Case::new("apache-avro (values)", &messages, apache_avro(data::A)));
    cases.push(Case::new("copying the bytes", &messages, copying()));
    compare("A: three fields", 0, cases);

    let schema = data::b();
    let messages = data::b_messages(BATCH, REFERENCE);
    let messages = refs(&messages);
    let mut cases = pair("B", &schema, &messages);
    cases.push(Case::new("apache-avro (values)", &messages, apache_avro(&schema)));
    cases.push(Case::new("copying the bytes", &messages, copying()));
    compare("B: 30 nullable fields", 0, cases);

    let messages = data::c_messages(BATCH, REFERENCE, 0..=6);
    let messages = refs(&messages);
    let mut cases = pair("C", data::C, &messages);
    cases.push(Case::new("apache-avro (values)", &messages, apache_avro(data::C)));
    cases.push(Case::new("copying the bytes", &messages, copying()));
    compare("C: records, an array of records, a map", 0, cases);
}

fn sets() {
    let b = data::b();
    let shapes: [(&str, &str, Vec<Vec<u8>>); 3] = [
        ("A", data::A, data::a_messages(BATCH, REFERENCE, |_| ID)),
        ("B", &b, data::b_messages(BATCH, REFERENCE)),
        ("C", data::C, data::c_messages(BATCH, REFERENCE, 0..=6)),
    ];
    for (name, schema, messages) in &shapes {
        let messages = refs(messages);
        let writers = [(ID, *schema)];
        let theirs = arrow_avro(ArrowAvro::new(None, &writers, BATCH));
        let mut cases = vec![Case::new("arrow-avro", &messages, theirs)];
        for set in InstructionSet::available() {
            let mut mine = decoder(schema, &writers, Options::default());
            mine.use_instruction_set(set);
            cases.push(Case::new(&format!("{set:?}"), &messages, ours(mine)));
        }
        compare(&format!("{name} by instruction set"), 0, cases);
    }
}

fn projection() {
    let schema = data::b();
    let writers = [(ID, schema.as_str())];
    let messages = data::b_messages(BATCH, REFERENCE);
    let messages = refs(&messages);
    let some = |names: [&str; 4]| Options {
        projection: Some(names.map(str::to_owned).to_vec()),
        ..Options::default()
    };
    let case = |name: &str, options| {
        Case::new(name, &messages, ours(decoder(&schema, &writers, options)))
    };
    compare(
        "Projection of 4 of B's 30 columns (goal: 4x the full decode)",
        0,
        vec![
            case("all 30", Options::default()),
            case("i0 l2 s3 t1 (spread)", some(["i0", "l2", "s3", "t1"])),
            case("i0 i1 i2 i3 (the first)", some(["i0", "i1", "i2", "i3"])),
            case("e0 e1 m0 m1 (the last)", some(["e0", "e1", "m0", "m1"])),
            case("d0 d1 d2 d3", some(["d0", "d1", "d2", "d3"])),
        ],
    );
}

fn writers() {
    let writers = [(ID, data::A), (OTHER_ID, data::A_MORE)];
    let one = data::a_messages(BATCH, REFERENCE, |_| ID);
    let two = data::a_messages(BATCH, REFERENCE, |i| if i % 2 == 0 { ID } else { OTHER_ID });
    let (one, two) = (refs(&one), refs(&two));
    let mine = || ours(decoder(data::A, &writers, Options::default()));
    let theirs = || arrow_avro(ArrowAvro::new(Some(data::A), &writers, BATCH));
    check::same(
        "two writers",
        &mut decoder(data::A, &writers, Options::default()),
        &mut ArrowAvro::new(Some(data::A), &writers, BATCH),
        &two,
    );
    compare(
        "A, schema id changing on every row (goal: within 1.3x of one id, ratio 0.77)",
        0,
        vec![
            Case::new("one id", &one, mine()),
            Case::new("two ids", &two, mine()),
            Case::new("arrow-avro, one id", &one, theirs()),
            Case::new("arrow-avro, two ids", &two, theirs()),
        ],
    );
}

fn resolution() {
    let schema = data::b();
    let reader = data::b_reader();
    let writers = [(ID, schema.as_str())];
    let messages = data::b_messages(BATCH, REFERENCE);
    let messages = refs(&messages);
    check::same(
        "resolution",
        &mut decoder(&reader, &writers, Options::default()),
        &mut ArrowAvro::new(Some(&reader), &writers, BATCH),
        &messages,
    );
    compare(
        "B, resolved: promoted, added, dropped, reordered (goal: within 1.2x, ratio 0.83)",
        0,
        vec![
            Case::new("identity", &messages, ours(decoder(&schema, &writers, Options::default()))),
            Case::new("resolved", &messages, ours(decoder(&reader, &writers, Options::default()))),
            Case::new(
                "arrow-avro, resolved",
                &messages,
                arrow_avro(ArrowAvro::new(Some(&reader), &writers, BATCH)),
            ),
        ],
    );
    let reader = data::A.replace("\"int\"", "\"long\"").replace(
        "]}",
        r#",{"name":"added","type":"string","default":"none"}]}"#,
    );
    let writers = [(ID, data::A)];
    let messages = data::a_messages(BATCH, REFERENCE, |_| ID);
    let messages = refs(&messages);
    compare(
        "A, resolved: promoted, a text default added",
        0,
        vec![
            Case::new("identity", &messages, ours(decoder(data::A, &writers, Options::default()))),
            Case::new("resolved", &messages, ours(decoder(&reader, &writers, Options::default()))),
        ],
    );
}

fn corrupt() {
    let b = data::b();
    let shapes: [(&str, &str, Vec<Vec<u8>>); 3] = [
        ("A", data::A, data::a_messages(BATCH, REFERENCE, |_| ID)),
        ("B", &b, data::b_messages(BATCH, REFERENCE)),
        ("C", data::C, data::c_messages(BATCH, REFERENCE, 0..=6)),
    ];
    for (name, schema, good) in shapes {
        let mut bad = good.clone();
        let spoilt = data::spoil(&mut bad, 100);
        let (good, bad) = (refs(&good), refs(&bad));
        let writers = [(ID, schema)];
        let mut mine = decoder(schema, &writers, Options::default());
        let reported: Vec<usize> = mine.decode_framed(&bad).errors.iter().map(|e| e.row).collect();
        assert_eq!(reported, spoilt, "{name}: exactly the spoilt rows are reported");
        compare(
            &format!("{name}, 1% corrupt rows (goal: within 1.2x, ratio 0.83)"),
            0,
            vec![
                Case::new("all good", &good, ours(decoder(schema, &writers, Options::default()))),
                Case::new("1% corrupt", &bad, ours(mine)),
            ],
        );
    }
}

fn sizes() {
    let b = data::b();
    let shapes: [(&str, &str, Vec<Vec<u8>>); 3] = [
        ("A", data::A, data::a_messages(1_000_000, REFERENCE, |_| ID)),
        ("B", &b, data::b_messages(1_000_000, REFERENCE)),
        ("C", data::C, data::c_messages(1_000_000, REFERENCE, 0..=6)),
    ];
    for (name, schema, messages) in &shapes {
        let messages = refs(messages);
        let writers = [(ID, *schema)];
        let cases = [10, 100, 1_000, 10_000, 100_000, 1_000_000].map(|n| {
            let mine = decoder(schema, &writers, Options::default());
            Case::new(&format!("{n} records a batch"), &messages[..n], ours(mine))
        });
        compare(&format!("{name} by batch size"), 3, cases.into());
    }
}

fn compile() {
    println!("\nPlan compilation (goal: under 5 ms for 500 fields)");
    let b = data::b();
    let many = data::many_fields(500);
    for (name, text) in [("A", data::A), ("B", &b), ("C", data::C), ("500 fields", &many)] {
        let mut best = [f64::MAX; 3];
        for _ in 0..50 {
            let start = Instant::now();
            let schema = Schema::parse(text, &[]).expect("a benchmark schema");
            let parsed = start.elapsed().as_secs_f64();
            let mut decoder = fletch_columnar::Decoder::new(&schema, Options::default())
                .expect("a benchmark reader");
            decoder.add_writer(ID, &schema).expect("a benchmark writer");
            let compiled = start.elapsed().as_secs_f64() - parsed;
            let message = [0u8, 0, 0, 0, 42].into_iter().chain([0; 500]);
            let message: Vec<u8> = message.collect();
            decoder.decode_framed(&[&message]);
            let decoded = start.elapsed().as_secs_f64() - parsed - compiled;
            for (best, got) in best.iter_mut().zip([parsed, compiled, decoded]) {
                *best = best.min(got * 1e3);
            }
        }
        println!(
            "{name:<12} parse {:>7.3} ms, compile {:>7.3} ms, first row {:>7.3} ms",
            best[0], best[1], best[2]
        );
    }
}

fn distributions() {
    let b = data::b();
    let with = |numbers, text, nulls| Distribution { numbers, text, nulls };
    let list = [
        ("small numbers", with(Numbers::Small, Text::Words, 0.15)),
        ("huge numbers", with(Numbers::Huge, Text::Words, 0.15)),
        ("no nulls", with(Numbers::Mixed, Text::Words, 0.0)),
        ("90% nulls", with(Numbers::Mixed, Text::Words, 0.9)),
        ("short text", with(Numbers::Mixed, Text::Short, 0.15)),
        ("long text", with(Numbers::Mixed, Text::Long, 0.15)),
        ("non-ASCII text", with(Numbers::Mixed, Text::NonAscii, 0.15)),
    ];
    let run = |name: &str, schema: &str, messages: Vec<Vec<u8>>| {
        let messages = refs(&messages);
        compare(name, 0, pair(name, schema, &messages));
    };
    for (name, d) in list {
        run(&format!("A, {name}"), data::A, data::a_messages(BATCH, d, |_| ID));
        run(&format!("B, {name}"), &b, data::b_messages(BATCH, d));
        run(&format!("C, {name}"), data::C, data::c_messages(BATCH, d, 0..=6));
    }
    run("C, no items", data::C, data::c_messages(BATCH, REFERENCE, 0..=0));
    run("C, 50 to 100 items", data::C, data::c_messages(2_000, REFERENCE, 50..=100));
    run("C, 2,000 items in each of 10 rows", data::C, data::c_messages(10, REFERENCE, 2000..=2000));
    for (name, schema) in [("longs", data::LONGS), ("doubles", data::DOUBLES), ("strings", data::STRINGS)] {
        for (items, rows) in [(0..=8, BATCH), (500..=1500, 100)] {
            let title = format!("arrays of {} to {} {name}", items.start(), items.end());
            let messages = data::array_messages(rows, schema, REFERENCE, items.clone());
            run(&title, schema, messages);
        }
    }
    for (name, numbers) in [("small", Numbers::Small), ("huge", Numbers::Huge)] {
        let d = with(numbers, Text::Words, 0.0);
        let messages = data::array_messages(100, data::LONGS, d, 500..=1500);
        run(&format!("arrays of 500 to 1500 {name} longs"), data::LONGS, messages);
    }
}
