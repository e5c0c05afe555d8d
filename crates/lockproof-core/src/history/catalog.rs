//! What the database's catalog says of the tables: keys, foreign keys, and what runs when they are
//! touched.
//!
//! Owns the values, which are no part of a history's format. Knows nothing of how they are read.

use std::collections::{BTreeMap, BTreeSet};

use super::setting::Setting;

/// The tables of a database and what ties them together. Names are `schema.table`, as the catalog
/// has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// The tables, partitioned ones and materialized views among them.
    pub tables: BTreeMap<String, TableFacts>,
    /// The foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Unique and primary keys, and unique indexes.
    pub keys: Vec<UniqueKey>,
    /// For each view the tables it reads; `None` where it calls a function of the database's own.
    pub views: BTreeMap<String, Option<BTreeSet<String>>>,
    /// What a session begins with unless it says otherwise, of server, database and role.
    pub settings: Vec<Setting>,
}

/// What else there is to know of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFacts {
    /// Whether touching it runs what no text shows: a trigger, a rule, row security, a check or a
    /// default that calls a function of the database's own.
    pub runs_code: bool,
    /// Sequences that its defaults use.
    pub sequences: BTreeSet<String>,
    /// The table it is a partition of, or inherits from.
    pub parents: BTreeSet<String>,
}

/// What a foreign key does to the child when the parent goes or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferentialAction {
    /// An error (NO ACTION and RESTRICT).
    Refuse,
    /// The child's rows go, or change, as well.
    Cascade,
    /// The child's columns become null, or their default.
    Set,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The table that refers.
    pub child: String,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The table that is referred to.
    pub parent: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// What happens to the child when a parent row is deleted.
    pub on_delete: ReferentialAction,
    /// What happens to the child when a parent's key changes.
    pub on_update: ReferentialAction,
}

/// A unique or primary key, or a unique index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// The constraint's or the index's name, which an error 23505 names.
    pub name: String,
    /// The table.
    pub table: String,
    /// Its columns; an expression is the empty string.
    pub columns: Vec<String>,
}

impl Catalog {
    /// The tables and views that a name in a statement may mean: `schema.table`, or a table alone, which
    /// is looked for in every schema (the search path of a session is not known). Case does not
    /// count. Empty: none that is known.
    #[must_use]
    pub fn resolve(&self, spelled: &str) -> BTreeSet<String> {
        let plain = spelled.to_lowercase();
        self.tables
            .keys()
            .chain(self.views.keys())
            .filter(|name| {
                let name = name.to_lowercase();
                name == plain
                    || (!plain.contains('.')
                        && name
                            .split_once('.')
                            .is_some_and(|(_, table)| table == plain))
            })
            .cloned()
            .collect()
    }

    /// A table with those of its inheritance tree: a row of one is a row of the others.
    #[must_use]
    pub fn family(&self, table: &str) -> BTreeSet<String> {
        let mut family = BTreeSet::from([table.to_owned()]);
        loop {
            let more: Vec<String> = self
                .tables
                .iter()
                .flat_map(|(child, facts)| facts.parents.iter().map(move |parent| (child, parent)))
                .filter(|(child, parent)| family.contains(*child) != family.contains(*parent))
                .flat_map(|(child, parent)| [child.clone(), parent.clone()])
                .collect();
            if more.is_empty() {
                return family;
            }
            family.extend(more);
        }
    }

    /// The foreign keys that refer to this table.
    pub fn references_to<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(move |key| key.parent == parent)
    }

    /// The foreign keys of this table.
    pub fn references_of<'a>(&'a self, child: &'a str) -> impl Iterator<Item = &'a ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(move |key| key.child == child)
    }

    /// How many foreign keys lie, at most, between this table and one that refers to none.
    #[must_use]
    pub fn depth(&self, table: &str) -> usize {
        self.depth_within(table, &mut BTreeSet::new())
    }

    fn depth_within(&self, table: &str, seen: &mut BTreeSet<String>) -> usize {
        if !seen.insert(table.to_owned()) {
            return 0;
        }
        let depth = self
            .references_of(table)
            .map(|key| 1 + self.depth_within(&key.parent, seen))
            .max()
            .unwrap_or(0);
        seen.remove(table);
        depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let key = |name: &str, child: &str, parent: &str| ForeignKey {
            name: name.to_owned(),
            child: child.to_owned(),
            child_columns: Vec::new(),
            parent: parent.to_owned(),
            parent_columns: Vec::new(),
            on_delete: ReferentialAction::Refuse,
            on_update: ReferentialAction::Refuse,
        };
        let mut catalog = Catalog {
            foreign_keys: vec![
                key("k1", "public.b", "public.a"),
                key("k2", "public.c", "public.b"),
                key("k3", "public.c", "public.a"),
                key("k4", "public.a", "public.a"),
            ],
            ..Catalog::default()
        };
        for name in ["public.a", "public.b", "public.c", "s.Big", "s.a"] {
            catalog
                .tables
                .insert(name.to_owned(), TableFacts::default());
        }
        let inherits = |parent: &str| TableFacts {
            parents: [parent.to_owned()].into(),
            ..TableFacts::default()
        };
        catalog.tables.insert("s.p1".into(), inherits("s.p"));
        catalog.tables.insert("s.p2".into(), inherits("s.p"));
        catalog
    }

    #[test]
    fn a_name_alone_means_every_table_of_that_name() {
        let names = |spelled| catalog().resolve(spelled).into_iter().collect::<Vec<_>>();
        assert_eq!(names("a"), ["public.a", "s.a"]);
        assert_eq!(names("s.a"), ["s.a"]);
        assert_eq!(names("big"), ["s.Big"]);
        assert!(names("x").is_empty());
    }

    #[test]
    fn depth_counts_the_longest_chain_and_stands_circles() {
        assert_eq!(catalog().depth("public.c"), 3);
        assert_eq!(catalog().depth("public.a"), 1);
        assert_eq!(catalog().depth("s.a"), 0);
    }

    #[test]
    fn partitions_are_one_family() {
        assert_eq!(catalog().family("s.p1").len(), 3);
        assert_eq!(catalog().family("s.a").len(), 1);
    }
}
