//! Looks into the tables that kubectl prints for people.

use anyhow::{Context, Result, bail};

/// A printed table: columns begin where their titles begin.
#[derive(Debug, Clone)]
pub struct Table {
    titles: Vec<(String, usize)>,
    rows: Vec<String>,
}

impl Table {
    /// Reads what kubectl printed.
    pub fn read(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let head = lines.next().context("no table but nothing")?;
        let mut titles = Vec::new();
        let mut from = 0;
        // Titles may hold a space (`NOMINATED NODE`), columns are three spaces apart.
        for title in head.split("   ").filter(|it| !it.trim().is_empty()) {
            let title = title.trim();
            let at = head.get(from..).and_then(|rest| rest.find(title));
            from += at.context("a title that is not there")?;
            titles.push((title.to_owned(), from));
            from += title.len();
        }
        let rows = lines.map(str::to_owned).collect();
        Ok(Self { titles, rows })
    }

    /// The titles, left to right.
    pub fn titles(&self) -> Vec<&str> {
        self.titles.iter().map(|(title, _)| title.as_str()).collect()
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every cell of a column, top to bottom.
    pub fn column(&self, title: &str) -> Result<Vec<&str>> {
        let place = self.titles.iter().position(|(it, _)| it == title);
        let place = place.with_context(|| format!("no column {title} in {self:?}"))?;
        let (_, from) = self.titles.get(place).context("no such column")?;
        let next = self.titles.get(place + 1).map(|(_, at)| *at);
        let cells = self.rows.iter().map(|row| {
            let to = next.unwrap_or(row.len()).min(row.len());
            row.get(*from..to).unwrap_or_default().trim()
        });
        Ok(cells.collect())
    }

    /// The cell of the one row with this NAME.
    pub fn cell(&self, name: &str, title: &str) -> Result<&str> {
        let names = self.column("NAME")?;
        let mut found = names.iter().zip(self.column(title)?).filter(|(it, _)| **it == name);
        match (found.next(), found.next()) {
            (Some((_, cell)), None) => Ok(cell),
            (None, _) => bail!("no row {name} in {self:?}"),
            (Some(_), Some(_)) => bail!("several rows {name} in {self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_row_and_title() {
        let text = "NAME   READY   CLUSTER\nweb    10/10   tokyo:5 osaka:3\nx      0/1     osaka\n";
        let table = Table::read(text).unwrap();
        assert_eq!(table.titles(), ["NAME", "READY", "CLUSTER"]);
        assert_eq!(table.cell("web", "CLUSTER").unwrap(), "tokyo:5 osaka:3");
        assert_eq!(table.column("READY").unwrap(), ["10/10", "0/1"]);
        assert!(table.cell("y", "READY").is_err() && table.cell("x", "AGE").is_err());
    }
}
