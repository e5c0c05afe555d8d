//! What the catalog says of the tables: keys, foreign keys, views, and what runs unseen.
//!
//! Owns the questions to `pg_class`, `pg_constraint`, `pg_index` and `pg_depend`. Asked of a template
//! database once; what the subject itself creates later is not in it.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use crate::history::{Catalog, ForeignKey, ReferentialAction, Setting, TableFacts, UniqueKey};

/// The subject's relations: not the server's, not the witness's.
const OURS: &str = "n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_%'";

/// The first oid that a database's own objects have.
const OWN: &str = "16384";

fn tables_query() -> String {
    format!(
        "select n.nspname || '.' || c.relname,
           c.relrowsecurity
             or exists (select 1 from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
                        and t.tgname not in ('zz_lockproof_witness', '!lockproof_begun'))
             or exists (select 1 from pg_rewrite r where r.ev_class = c.oid and c.relkind <> 'm')
             or exists (select 1 from pg_depend d
                        join pg_proc p on d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
                        where p.oid >= {OWN} and (
                          (d.classid = 'pg_constraint'::regclass and d.objid in
                            (select k.oid from pg_constraint k where k.conrelid = c.oid))
                          or (d.classid = 'pg_attrdef'::regclass and d.objid in
                            (select a.oid from pg_attrdef a where a.adrelid = c.oid))
                          or (d.classid = 'pg_class'::regclass and d.objid in
                            (select i.indexrelid from pg_index i where i.indrelid = c.oid)))),
           array(select distinct sn.nspname || '.' || s.relname
                 from pg_depend d
                 join pg_class s on s.oid = case when d.classid = 'pg_class'::regclass
                                                 then d.objid else d.refobjid end
                   and s.relkind = 'S'
                 join pg_namespace sn on sn.oid = s.relnamespace
                 where (d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                        and d.refobjid = c.oid)
                    or (d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
                        and d.objid in (select a.oid from pg_attrdef a where a.adrelid = c.oid))),
           array(select pn.nspname || '.' || p.relname from pg_inherits i
                 join pg_class p on p.oid = i.inhparent
                 join pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm') and {OURS} order by 1"
    )
}

fn columns_of(relation: &str, numbers: &str) -> String {
    format!(
        "array(select coalesce(a.attname::text, '') from unnest({numbers}) with ordinality u(number, place)
           left join pg_attribute a on a.attrelid = {relation} and a.attnum = u.number and u.number > 0
         order by u.place)"
    )
}

fn foreign_keys_query() -> String {
    format!(
        "select k.conname::text, n.nspname || '.' || c.relname, {}, pn.nspname || '.' || p.relname, {},
           k.confdeltype::text, k.confupdtype::text
         from pg_constraint k join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace join pg_class p on p.oid = k.confrelid
           join pg_namespace pn on pn.oid = p.relnamespace
         where k.contype = 'f' and {OURS} order by 2, 1",
        columns_of("k.conrelid", "k.conkey"),
        columns_of("k.confrelid", "k.confkey")
    )
}

fn keys_query() -> String {
    format!(
        "select ic.relname::text, n.nspname || '.' || c.relname, {}
         from pg_index i join pg_class c on c.oid = i.indrelid join pg_class ic on ic.oid = i.indexrelid
           join pg_namespace n on n.oid = c.relnamespace
         where i.indisunique and c.relkind in ('r', 'p', 'm') and {OURS} order by 2, 1",
        columns_of(
            "i.indrelid",
            "(i.indkey::int2[])[0:i.indnkeyatts - 1]"
        )
    )
}

/// A view, what it depends on, and whether that is a function of the database's own.
fn views_query() -> String {
    format!(
        "select n.nspname || '.' || c.relname, coalesce(rn.nspname || '.' || r.relname, ''),
           exists (select 1 from pg_depend f where f.classid = 'pg_rewrite'::regclass and f.objid = w.oid
                   and f.refclassid = 'pg_proc'::regclass and f.refobjid >= {OWN})
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_rewrite w on w.ev_class = c.oid
           left join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
             and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
           left join pg_class r on r.oid = d.refobjid
           left join pg_namespace rn on rn.oid = r.relnamespace
         where c.relkind = 'v' and {OURS} order by 1, 2"
    )
}

fn action(letter: &str) -> ReferentialAction {
    match letter {
        "c" => ReferentialAction::Cascade,
        "n" | "d" => ReferentialAction::Set,
        _ => ReferentialAction::Refuse,
    }
}

/// What the catalog of this connection's database says.
///
/// # Errors
/// When the server does not answer.
pub async fn catalog(client: &Client) -> Result<Catalog, EvidenceError> {
    let what = "what its catalog has";
    let mut catalog = Catalog::default();
    // What a session of the job begins with; this one has set its own.
    let settings = "select name, reset_val from pg_settings where name = any ($1) order by name";
    let known = Setting::KNOWN.as_slice();
    for row in bounded(what, client.query(settings, &[&known])).await? {
        let (name, value) = (row.get(0), row.get(1));
        catalog.settings.push(Setting { name, value });
    }
    for row in bounded(what, client.query(&tables_query(), &[])).await? {
        let facts = TableFacts {
            runs_code: row.get(1),
            sequences: row.get::<_, Vec<String>>(2).into_iter().collect(),
            parents: row.get::<_, Vec<String>>(3).into_iter().collect(),
        };
        catalog.tables.insert(row.get(0), facts);
    }
    catalog.foreign_keys = foreign_keys(client).await?;
    for row in bounded(what, client.query(&keys_query(), &[])).await? {
        catalog.keys.push(UniqueKey {
            name: row.get(0),
            table: row.get(1),
            columns: row.get(2),
        });
    }
    let mut direct: BTreeMap<String, (BTreeSet<String>, bool)> = BTreeMap::new();
    for row in bounded(what, client.query(&views_query(), &[])).await? {
        let view = direct.entry(row.get(0)).or_default();
        let relation: String = row.get(1);
        if !relation.is_empty() {
            view.0.insert(relation);
        }
        view.1 |= row.get::<_, bool>(2);
    }
    catalog.views = direct
        .keys()
        .map(|view| (view.clone(), base_tables(&direct, view)))
        .collect();
    Ok(catalog)
}

/// The foreign keys.
pub(super) async fn foreign_keys(client: &Client) -> Result<Vec<ForeignKey>, EvidenceError> {
    let query = foreign_keys_query();
    let asked = client.query(&query, &[]);
    let rows = bounded("which foreign keys it has", asked).await?;
    let key = |row: &tokio_postgres::Row| ForeignKey {
        name: row.get(0),
        child: row.get(1),
        child_columns: row.get(2),
        parent: row.get(3),
        parent_columns: row.get(4),
        on_delete: action(row.get(5)),
        on_update: action(row.get(6)),
    };
    Ok(rows.iter().map(key).collect())
}

/// The tables below a view; `None` if a function is below it that may read anything.
fn base_tables(
    direct: &BTreeMap<String, (BTreeSet<String>, bool)>,
    view: &str,
) -> Option<BTreeSet<String>> {
    let mut tables = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![view.to_owned()];
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match direct.get(&name) {
            Some((_, true)) => return None,
            Some((relations, false)) => open.extend(relations.iter().cloned()),
            None => {
                tables.insert(name);
            }
        }
    }
    Some(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_views_reads_their_tables_and_a_function_hides_them() {
        let relations = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let direct = BTreeMap::from([
            ("v".to_owned(), (relations(&["w", "t"]), false)),
            ("w".to_owned(), (relations(&["u"]), false)),
            ("x".to_owned(), (relations(&["w", "y"]), false)),
            ("y".to_owned(), (relations(&["t"]), true)),
        ]);
        assert_eq!(base_tables(&direct, "v"), Some(relations(&["t", "u"])));
        assert_eq!(base_tables(&direct, "x"), None);
    }
}
