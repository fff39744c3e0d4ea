//! The table in `PROTOCOL.md` is the one that the declarations make.

#[path = "../examples/protocol_table.rs"]
mod protocol_table;

#[test]
fn the_page_has_the_table_of_today() {
    let page = std::fs::read_to_string(protocol_table::PAGE).unwrap();
    let table = protocol_table::table(&protocol_table::declared());
    let expected = protocol_table::insert(&page, &table).expect("a place for the table");
    assert!(
        page == expected,
        "out of date: cargo run -p fletch-wire --example protocol_table -- --write"
    );
}
