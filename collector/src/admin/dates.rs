//! The dates by which support is judged, as `check` tells of them: of which day, whose, under which licence.

use anyhow::Result;
use serde::Serialize;

use super::print_line;
use crate::config::Config;
use crate::support_files;

/// By which dates support is judged.
#[derive(Serialize)]
pub(super) struct SupportDates {
    /// The day that they are of.
    as_of: String,
    products: usize,
    /// Whether they are those that ship.
    shipped: bool,
    source: &'static str,
    licence: &'static str,
    notice: &'static str,
    /// Why files of support_dir are not used, if they are not.
    unused: Option<String>,
}

impl SupportDates {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let found = support_files::read(&config.support_dir)
            .map_err(|mistakes| anyhow::anyhow!("support dates:\n{}", mistakes.join("\n")))?;
        Ok(Self {
            as_of: found.dates.as_of().to_owned(),
            products: found.dates.products(),
            shipped: found.dates.is_shipped(),
            source: "endoflife.date",
            licence: "MIT, Copyright (c) 2020 endoflife.date contributors",
            notice: "/usr/share/doc/plumb-collector/support-dates.md",
            unused: found.unused,
        })
    }

    pub(super) fn print(&self) -> Result<()> {
        let Self { as_of, products, source, licence, notice, .. } = self;
        let whose = if self.shipped { "as shipped" } else { "of support_dir" };
        print_line(&format!("support dates  ok, as of {as_of}, {products} products, {whose}"))?;
        print_line(&format!("  from {source} ({licence}; notice in {notice})"))?;
        self.unused.as_ref().map_or(Ok(()), |unused| print_line(&format!("  {unused}")))
    }
}
