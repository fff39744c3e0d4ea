//! The table in `docs/compatibility.md` is the one that the declarations make.

#[path = "../examples/protocol_table.rs"]
mod protocol_table;

#[test]
fn the_page_has_the_table_of_today() {
    let page = std::fs::read_to_string(protocol_table::PAGE).unwrap();
    let expected = protocol_table::insert(&page).expect("a place for the table in the page");
    assert!(
        page == expected,
        "out of date: cargo run -p fletch-wire --example protocol_table -- --write"
    );
}
