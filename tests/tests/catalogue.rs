//! Rules are checked at load against the collector's catalogue of tables; the agent declares the same ones.

use std::collections::BTreeSet;

use plumb_agent::observe::own::Own;

#[test]
fn the_catalogue_of_rules_is_what_the_agent_declares() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../collector/data/catalogue.toml"));
    let catalogue: toml::Table = text.expect("the catalogue").parse().expect("TOML");
    let mut known = BTreeSet::new();
    for (table, columns) in catalogue["table"].as_table().expect("tables") {
        for (column, kind) in columns.as_table().expect("columns") {
            known.insert(format!("{table}.{column} {}", kind.as_str().expect("a type")));
        }
    }
    let mut declared = BTreeSet::new();
    for table in plumb_agent::watchers::ALL.iter().chain([&Own::SPEC]).flat_map(|spec| spec.tables) {
        for column in table.columns {
            declared.insert(format!("{}.{} {:?}", table.name, column.name, column.kind).to_lowercase());
        }
    }
    let only =
        |these: &BTreeSet<String>, those: &BTreeSet<String>| these.difference(those).cloned().collect::<Vec<_>>();
    assert_eq!(only(&known, &declared), [""; 0], "only in the catalogue");
    assert_eq!(only(&declared, &known), [""; 0], "only declared by the agent");
}
