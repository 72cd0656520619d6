//! Products: plumb's words for them, the table's, and people's.

use super::Dates;

/// Plumb's words that are others than the table's.
const NAMES: [(&str, &str); 5] = [
    ("node", "nodejs"),
    ("apache", "apache-http-server"),
    ("rails", "ruby-on-rails"),
    ("rocky", "rocky-linux"),
    ("composer-project", "composer"),
];

/// Products that are made from another one, whose dates they have at least.
const MADE_FROM: [(&str, &str); 1] = [("percona", "mysql")];

/// Names as people write them; all others begin with a capital letter.
const LABELS: [(&str, &str); 46] = [
    ("almalinux", "AlmaLinux"),
    ("alpine-linux", "Alpine Linux"),
    ("amazon-corretto", "Amazon Corretto"),
    ("amazon-linux", "Amazon Linux"),
    ("apache-http-server", "Apache"),
    ("azul-zulu", "Azul Zulu"),
    ("bellsoft-liberica", "BellSoft Liberica"),
    ("centos", "CentOS"),
    ("centos-stream", "CentOS Stream"),
    ("craft-cms", "Craft CMS"),
    ("dotnet", ".NET"),
    ("eclipse-temurin", "Eclipse Temurin"),
    ("elasticsearch", "Elasticsearch"),
    ("ibm-semeru", "IBM Semeru"),
    ("java", "Java"),
    ("keydb", "KeyDB"),
    ("litespeed", "LiteSpeed"),
    ("mage-os", "Mage-OS"),
    ("mariadb", "MariaDB"),
    ("microsoft-build-of-openjdk", "Microsoft OpenJDK"),
    ("mongodb", "MongoDB"),
    ("mysql", "MySQL"),
    ("nginx", "nginx"),
    ("nodejs", "Node.js"),
    ("openjdk", "OpenJDK"),
    ("openjdk-builds-from-oracle", "Oracle's OpenJDK"),
    ("opensearch", "OpenSearch"),
    ("openssl", "OpenSSL"),
    ("oracle-jdk", "Oracle JDK"),
    ("oracle-linux", "Oracle Linux"),
    ("percona", "Percona Server"),
    ("php", "PHP"),
    ("postgresql", "PostgreSQL"),
    ("prestashop", "PrestaShop"),
    ("red-hat-build-of-openjdk", "Red Hat OpenJDK"),
    ("rhel", "RHEL"),
    ("rocky-linux", "Rocky Linux"),
    ("ruby-on-rails", "Rails"),
    ("sapmachine", "SapMachine"),
    ("spring-boot", "Spring Boot"),
    ("sqlite", "SQLite"),
    ("typo3", "TYPO3"),
    ("valkey", "Valkey"),
    ("wordpress", "WordPress"),
    ("cpanel", "cPanel"),
    ("phpmyadmin", "phpMyAdmin"),
];

/// Builds of Java by how their packages are called: Adoptium's, Azul's, Amazon's, Microsoft's, BellSoft's, SAP's, IBM's and
/// Oracle's own repositories. Distributions write `openjdk-17-jre` and `java-17-openjdk`.
const JAVA: [(&str, &str); 9] = [
    ("temurin-", "eclipse-temurin"),
    ("zulu", "azul-zulu"),
    ("corretto", "amazon-corretto"),
    ("msopenjdk-", "microsoft-build-of-openjdk"),
    ("bellsoft-java", "bellsoft-liberica"),
    ("sapmachine-", "sapmachine"),
    ("ibm-semeru", "ibm-semeru"),
    ("oracle-java", "oracle-jdk"),
    ("jdk-", "oracle-jdk"),
];

/// The product of a key: `node` of `node/22@/opt/node`.
pub(super) fn word(key: &str) -> &str {
    key.split(['/', '@']).next().unwrap_or(key)
}

/// The table's name for a word.
pub(super) fn name(word: &str) -> &str {
    NAMES.iter().find(|(each, _)| *each == word).map_or(word, |(_, name)| name)
}

/// Under which name the dates of a product stand.
pub(super) fn dated_by(word: &str) -> &str {
    MADE_FROM.iter().find(|(each, _)| *each == word).map_or_else(|| name(word), |(_, name)| name)
}

/// True if rules may ask for a product of that name: it is in the table, it is `os`, or it stands for several.
#[must_use]
pub fn knows(product: &str) -> bool {
    let word = word(product);
    matches!(word, "os" | "java") || Dates::shipped().has(dated_by(word))
}

/// A product as people write it.
pub(super) fn label(product: &str) -> String {
    if let Some((_, label)) = LABELS.iter().find(|(each, _)| *each == product) {
        return (*label).to_owned();
    }
    let mut letters = product.chars();
    let capital = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    plumb_proto::untrusted::Untrusted::from(capital.as_str()).to_string()
}

/// Whose build of Java this is: as its provenance says, or as its package is called.
pub(super) fn java(provenance: &str, package: Option<&str>) -> Option<&'static str> {
    if let Some((_, build)) = JAVA.iter().find(|(_, build)| *build == provenance) {
        return Some(build);
    }
    let package = package?;
    let fits =
        |start: &str| package.starts_with(start) || (start == "corretto" && package.contains("-amazon-corretto"));
    JAVA.iter().find(|(start, _)| fits(start)).map(|(_, build)| *build)
}

/// Who has to act: fixes of what lies in a site's folder come by nobody's package manager.
pub(super) fn note_of_kind(kind: Option<&str>) -> &'static str {
    match kind {
        Some("framework") => "part of a project: nobody updates it automatically, its maintainer has to",
        _ => "",
    }
}
