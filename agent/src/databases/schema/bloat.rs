//! Tables that grow without end in well-known CMSs and shops: logs, sessions, caches, visits. By name only.

use crate::host::pattern::matches;

/// A table of that many bytes has grown.
const GROWN: u64 = 256 << 20;

/// A product, by the names of its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cms {
    /// WordPress, with WooCommerce and other plugins.
    Wordpress,
    /// Drupal.
    Drupal,
    /// Magento and Mage-OS.
    Magento,
    /// PrestaShop.
    Prestashop,
    /// Joomla.
    Joomla,
    /// TYPO3.
    Typo3,
}

impl Cms {
    /// Its word in the table `cms`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wordpress => "wordpress",
            Self::Drupal => "drupal",
            Self::Magento => "magento",
            Self::Prestashop => "prestashop",
            Self::Joomla => "joomla",
            Self::Typo3 => "typo3",
        }
    }
}

/// What grows, by product. `*` stands for the prefix that most of them put before all names.
const KNOWN: [(Cms, &[&str]); 6] = [
    (
        Cms::Wordpress,
        &[
            "*_actionscheduler_logs",
            "*_actionscheduler_actions",
            "*_woocommerce_sessions",
            "*_options",
            // Wordfence
            "*_wfhits",
            "*_wflogs",
            "*_wflogins",
            "*_wfstatus",
            // other plugins that write down what happens
            "*_itsec_logs",
            "*_itsec_log",
            "*_aiowps_audit_log",
            "*_simple_history",
            "*_simple_history_contexts",
            "*_redirection_logs",
            "*_redirection_404",
            "*_statistics_visitor",
            "*_statistics_pages",
        ],
    ),
    (Cms::Drupal, &["*watchdog", "cache_*", "*_cache_*", "sessions", "*_sessions", "*flood", "*accesslog"]),
    (
        Cms::Magento,
        &[
            "*report_event",
            "*report_viewed_product_index",
            "*quote",
            "*_cl",
            "*session",
            "*customer_visitor",
            "log_*",
            "*_log_url",
            "*_log_visitor",
            "*cron_schedule",
        ],
    ),
    (
        Cms::Prestashop,
        &[
            "*_connections",
            "*_connections_page",
            "*_connections_source",
            "*_guest",
            "*_pagenotfound",
            "*_statssearch",
            "*_log",
        ],
    ),
    (Cms::Joomla, &["*_session", "*_finder_*", "*_action_logs"]),
    (Cms::Typo3, &["sys_log", "sys_history", "cf_*", "cache_*", "index_*", "fe_sessions", "be_sessions"]),
];

/// Whether a table is one that grows without end, and has. Of a product that is not known, each of them counts.
#[must_use]
pub fn is_known(cms: Option<Cms>, table: &[u8], bytes: u64) -> bool {
    let of = |known: &&(Cms, &[&str])| cms.is_none_or(|cms| cms == known.0);
    bytes >= GROWN
        && KNOWN.iter().filter(of).flat_map(|(_, patterns)| *patterns).any(|each| matches(each.as_bytes(), table))
}

/// Which product the tables of a schema belong to. `before` answers what stands before such an end in their names.
#[must_use]
pub fn guess<'a>(before: &dyn Fn(&str) -> Vec<&'a [u8]>) -> Option<Cms> {
    // Two tables of one prefix.
    let both = |one: &str, other: &str| {
        let others = before(other);
        before(one).iter().any(|prefix| others.contains(prefix))
    };
    if both("options", "usermeta") {
        return Some(Cms::Wordpress);
    }
    if both("core_config_data", "catalog_product_entity") {
        return Some(Cms::Magento);
    }
    if both("key_value", "cache_bootstrap") || both("watchdog", "node") {
        return Some(Cms::Drupal);
    }
    if both("product_shop", "connections") {
        return Some(Cms::Prestashop);
    }
    if both("sys_log", "tt_content") {
        return Some(Cms::Typo3);
    }
    both("extensions", "menu_types").then_some(Cms::Joomla)
}

/// Beginnings of the names of WordPress's tables; the tables of a network's further sites have no users of their own.
#[must_use]
pub fn wordpress<'a>(before: &dyn Fn(&str) -> Vec<&'a [u8]>) -> Vec<&'a [u8]> {
    let users = before("usermeta");
    before("options").into_iter().filter(|prefix| users.contains(prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(tables: &[&'static str]) -> Option<&'static str> {
        let before =
            |end: &str| tables.iter().filter_map(|each| each.as_bytes().strip_suffix(end.as_bytes())).collect();
        guess(&before).map(Cms::word)
    }

    #[test]
    fn a_product_is_known_by_two_of_its_tables_under_one_prefix() {
        assert_eq!(guessed(&["wp_options", "wp_usermeta"]), Some("wordpress"));
        assert_eq!(guessed(&["a_options", "b_usermeta"]), None);
        assert_eq!(guessed(&["core_config_data", "catalog_product_entity"]), Some("magento"));
        assert_eq!(guessed(&["d_key_value", "d_cache_bootstrap"]), Some("drupal"));
        assert_eq!(guessed(&["ps_product_shop", "ps_connections"]), Some("prestashop"));
        assert_eq!(guessed(&["sys_log", "tt_content"]), Some("typo3"));
        assert_eq!(guessed(&["j3_extensions", "j3_menu_types"]), Some("joomla"));
    }

    #[test]
    fn only_what_has_grown_counts_and_of_a_known_product_only_its_own() {
        assert!(is_known(Some(Cms::Drupal), b"cache_render", GROWN));
        assert!(is_known(Some(Cms::Drupal), b"d8_cache_render", GROWN));
        assert!(!is_known(Some(Cms::Drupal), b"cache_render", GROWN - 1));
        assert!(!is_known(Some(Cms::Drupal), b"ps_guest", GROWN));
        assert!(is_known(None, b"ps_guest", GROWN));
        assert!(!is_known(Some(Cms::Wordpress), b"wp_posts", 100 * GROWN));
    }
}
