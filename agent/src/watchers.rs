//! The list of watchers.

mod backups;
pub mod certificates;
mod cms;
mod dependencies;
mod disk;
mod elasticsearch;
mod integrity;
mod journal;
pub mod logs;
mod memcached;
mod mongodb;
mod mysql;
mod network;
mod php;
mod postgresql;
mod redis;
mod runtimes;
mod services;
mod sqlite;
mod system;
mod web;

use crate::watcher::Spec;

/// All watchers, by name.
pub const ALL: &[Spec] = &[
    backups::SPEC,
    certificates::SPEC,
    cms::SPEC,
    dependencies::SPEC,
    disk::SPEC,
    elasticsearch::SPEC,
    integrity::SPEC,
    journal::SPEC,
    logs::SPEC,
    memcached::SPEC,
    mongodb::SPEC,
    mysql::SPEC,
    network::SPEC,
    php::SPEC,
    postgresql::SPEC,
    redis::SPEC,
    runtimes::SPEC,
    services::SPEC,
    sqlite::SPEC,
    system::SPEC,
    web::SPEC,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::ALL;

    #[test]
    fn every_file_of_the_folder_is_on_the_list_under_its_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/watchers");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = files
            .filter(|path| path.extension().is_some_and(|end| end == "rs"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let listed: BTreeSet<String> = ALL.iter().map(|spec| spec.name.to_owned()).collect();
        assert_eq!(files, listed);
        assert!(ALL.is_sorted_by_key(|spec| spec.name));
    }

    #[test]
    fn every_sample_is_a_complete_configuration() {
        for spec in ALL {
            let sample: toml::Table = spec.sample.parse().unwrap();
            assert!(spec.make(sample).is_ok(), "{}", spec.name);
        }
    }

    #[test]
    fn a_table_has_no_column_twice() {
        for table in ALL.iter().flat_map(|spec| spec.tables) {
            let names: BTreeSet<&str> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
        }
    }
}
