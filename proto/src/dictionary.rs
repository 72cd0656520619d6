//! What an epoch has declared so far: tables and series by number. Declarations travel in the chain, in a record that is
//! never dropped; so each later record stands alone and names them by number.
//!
//! Both sides keep the same dictionary, and both keep it durably in the transaction that keeps the record.

use std::collections::HashMap;

use prost::Message;

use crate::generated::model as pb;
use crate::model::{MetricType, Series, TableDecl};
use crate::record::{Hash, sha256};
use crate::wire::declarations::{series_from_wire, series_to_wire, table_from_wire, table_to_wire};
use crate::wire::values::Malformed;
use crate::{limits, record::RecordError};

/// Tables and series of one epoch, numbered from 0 in the order of their declaration.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    tables: Vec<TableDecl>,
    table_ids: HashMap<String, u32>,
    series: Vec<(Series, MetricType)>,
    series_ids: HashMap<Series, u32>,
}

/// How far a dictionary had come: what is declared behind it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    tables: usize,
    series: usize,
}

impl Dictionary {
    /// Where it stands now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { tables: self.tables.len(), series: self.series.len() }
    }

    /// Takes back what was declared since, for a transaction that failed.
    pub fn roll_back(&mut self, mark: Mark) {
        for gone in self.tables.drain(mark.tables.min(self.tables.len())..) {
            self.table_ids.remove(&gone.name);
        }
        for (gone, _) in self.series.drain(mark.series.min(self.series.len())..) {
            self.series_ids.remove(&gone);
        }
        // a table that is declared anew with other columns has two numbers: the name means the newest
        self.table_ids = (0u32..).zip(&self.tables).map(|(id, table)| (table.name.clone(), id)).collect();
    }

    /// A table by number.
    #[must_use]
    pub fn table(&self, id: u32) -> Option<&TableDecl> {
        self.tables.get(id as usize)
    }

    /// The number of a table by name, and its declaration.
    #[must_use]
    pub fn table_named(&self, name: &str) -> Option<(u32, &TableDecl)> {
        let id = *self.table_ids.get(name)?;
        Some((id, self.tables.get(id as usize)?))
    }

    /// A series by number.
    #[must_use]
    pub fn series(&self, id: u32) -> Option<&(Series, MetricType)> {
        self.series.get(id as usize)
    }

    /// The number of a series.
    #[must_use]
    pub fn series_id(&self, series: &Series) -> Option<u32> {
        self.series_ids.get(series).copied()
    }

    /// All tables, in order of their numbers.
    #[must_use]
    pub fn tables(&self) -> &[TableDecl] {
        &self.tables
    }

    /// How many series there are.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Declares a table; the same declaration again is the same table, another one under its name replaces it.
    /// Returns its number and whether that is new.
    ///
    /// # Errors
    /// There are too many.
    pub fn declare_table(&mut self, table: &TableDecl) -> Result<(u32, bool), RecordError> {
        if let Some((id, known)) = self.table_named(&table.name)
            && known == table
        {
            return Ok((id, false));
        }
        let id = number(self.tables.len(), limits::TABLES, "tables")?;
        self.tables.push(table.clone());
        self.table_ids.insert(table.name.clone(), id);
        Ok((id, true))
    }

    /// Declares a series. Returns its number and whether that is new.
    ///
    /// # Errors
    /// There are too many.
    pub fn declare_series(&mut self, series: &Series, kind: MetricType) -> Result<(u32, bool), RecordError> {
        if let Some(id) = self.series_id(series) {
            return Ok((id, false));
        }
        let id = number(self.series.len(), limits::SERIES, "series")?;
        self.series.push((series.clone(), kind));
        self.series_ids.insert(series.clone(), id);
        Ok((id, true))
    }

    /// The declarations since `mark` as bytes, to be kept durably; `None` if there are none.
    #[must_use]
    pub fn declared_since(&self, mark: Mark) -> Option<Vec<u8>> {
        let payload = self.declarations_since(mark);
        (!payload.tables.is_empty() || !payload.series.is_empty()).then(|| payload.encode_to_vec())
    }

    /// Takes up declarations that were kept by [`Dictionary::declared_since`], in the order they were kept.
    ///
    /// # Errors
    /// They do not continue what is here.
    pub fn restore(&mut self, kept: &[u8]) -> Result<(), RecordError> {
        let payload = pb::Payload::decode(kept).map_err(|error| RecordError::Decode(error.to_string()))?;
        self.take_up(&payload.tables, &payload.series)
    }

    /// A digest of all declarations in order: equal where both sides know the same.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let all = self.declarations_since(Mark { tables: 0, series: 0 });
        sha256(&[b"plumb.dictionary.1\0", &all.encode_to_vec()])
    }

    pub(crate) fn declarations_since(&self, mark: Mark) -> pb::Payload {
        let tables = (0u32..).zip(&self.tables).skip(mark.tables).map(|(id, table)| table_to_wire(id, table));
        let series = (0u32..).zip(&self.series).skip(mark.series);
        let series = series.map(|(id, (series, kind))| series_to_wire(id, series, *kind));
        pb::Payload { tables: tables.collect(), series: series.collect(), ..pb::Payload::default() }
    }

    /// Takes up declarations from a record. One that is known already must be the same (a record with all of them is
    /// sent on demand); a new one must have the next number.
    pub(crate) fn take_up(&mut self, tables: &[pb::TableDecl], series: &[pb::SeriesDecl]) -> Result<(), RecordError> {
        for each in tables {
            let table = table_from_wire(each)?;
            match self.tables.get(each.id as usize) {
                Some(known) if *known == table => {}
                Some(_) => return Err(Malformed("table number is taken").into()),
                None if each.id as usize == self.tables.len() => {
                    number(self.tables.len(), limits::TABLES, "tables")?;
                    self.table_ids.insert(table.name.clone(), each.id);
                    self.tables.push(table);
                }
                None => return Err(Malformed("table number skips").into()),
            }
        }
        for each in series {
            let (series, kind) = series_from_wire(each)?;
            match self.series.get(each.id as usize) {
                Some(known) if *known == (series.clone(), kind) => {}
                Some(_) => return Err(Malformed("series number is taken").into()),
                None if each.id as usize == self.series.len() => {
                    number(self.series.len(), limits::SERIES, "series")?;
                    self.series_ids.insert(series.clone(), each.id);
                    self.series.push((series, kind));
                }
                None => return Err(Malformed("series number skips").into()),
            }
        }
        Ok(())
    }
}

fn number(count: usize, limit: usize, what: &'static str) -> Result<u32, RecordError> {
    if count >= limit {
        return Err(RecordError::TooBig { what, size: count + 1, limit });
    }
    u32::try_from(count).map_err(|_| RecordError::TooBig { what, size: count, limit })
}
