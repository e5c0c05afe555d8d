//! What drivers ask the catalog by themselves: known by their text, as it stands in their sources.
//!
//! Owns these texts. A text that is not among them is the job's own question, whatever it is about: what
//! a job asks of the catalog (is the table there?) decides what it does next. A driver that is missing
//! here costs steps, and nothing else.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::lexer::lex;
use super::normal::normal;
use super::split::views;

/// Asked along with others (npgsql), and of nothing that a job could change.
const VERSION: &str = "select version()";

const TOKIO_POSTGRES: [&str; 3] = [
    "\
SELECT t.typname, t.typtype, t.typelem, r.rngsubtype, t.typbasetype, n.nspname, t.typrelid
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
INNER JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid
WHERE t.oid = $1
",
    "\
SELECT enumlabel
FROM pg_catalog.pg_enum
WHERE enumtypid = $1
ORDER BY enumsortorder
",
    "\
SELECT attname, atttypid
FROM pg_catalog.pg_attribute
WHERE attrelid = $1
AND NOT attisdropped
AND attnum > 0
ORDER BY attnum
",
];

const POSTGRES_JS: &str = "
      select b.oid, b.typarray
      from pg_catalog.pg_type a
      left join pg_catalog.pg_type b on b.oid = a.typelem
      where a.typcategory = 'A'
      group by b.oid, b.typarray
      order by b.oid
    ";

const PSYCOPG: [&str; 6] = [
    "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter
     FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid",
    "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter
     FROM pg_type t WHERE t.oid = $1::regtype ORDER BY t.oid",
    "SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, t.oid::regtype::text AS regtype,
        r.rngsubtype AS subtype_oid
     FROM pg_type t JOIN pg_range r ON t.oid = r.rngtypid WHERE t.oid = $1::regtype",
    "SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, t.oid::regtype::text AS regtype,
        coalesce(a.fnames, '{}') AS field_names, coalesce(a.ftypes, '{}') AS field_types
     FROM pg_type t
     LEFT JOIN (
        SELECT attrelid, array_agg(attname) AS fnames, array_agg(atttypid) AS ftypes
        FROM (
            SELECT a.attrelid, a.attname, a.atttypid
            FROM pg_attribute a
            JOIN pg_type t ON t.typrelid = a.attrelid
            WHERE t.oid = $1::regtype AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum
        ) x
        GROUP BY attrelid
     ) a ON a.attrelid = t.typrelid
     WHERE t.oid = $1::regtype",
    "SELECT name, oid, array_oid, array_agg(label) AS labels
     FROM (
        SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, e.enumlabel AS label
        FROM pg_type t
        LEFT JOIN pg_enum e ON e.enumtypid = t.oid
        WHERE t.oid = $1::regtype
        ORDER BY e.enumsortorder
     ) x
     GROUP BY name, oid, array_oid",
    "SELECT name, oid, array_oid, array_agg(label) AS labels
     FROM (
        SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, e.enumlabel AS label
        FROM pg_type t
        LEFT JOIN pg_enum e ON e.enumtypid = t.oid
        WHERE t.oid = $1
        ORDER BY e.enumsortorder
     ) x
     GROUP BY name, oid, array_oid",
];

const NPGSQL: &str = "
SELECT version();

SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (
    -- Arrays have typtype=b - this subquery identifies them by their typreceive; don't split here;
    SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
        elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
        CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
    FROM (
        SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
            CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
            CASE
                WHEN proc.proname='array_recv' THEN typ.typelem
                WHEN typ.typtype='r' THEN rngsubtype
                WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid)
                WHEN typ.typtype='d' THEN typ.typbasetype
            END AS elemtypoid
        FROM pg_type AS typ
        LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)
    ) AS typ
    LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
    LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
    LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE
    typtype IN ('b', 'r', 'm', 'e', 'd') OR
    (typtype = 'c' AND relkind='c') OR
    (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) OR
    (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'c' AND elemrelkind='c')))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'c' THEN 1 ELSE 2 END;

SELECT typ.oid, att.attname, att.atttypid
FROM pg_type AS typ
JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace)
JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
WHERE (typ.typtype = 'c' AND cls.relkind='c') AND attnum > 0 AND NOT attisdropped
ORDER BY typ.oid, att.attnum;
";

const JDBC: [&str; 3] = [
    "SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t \
     JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1",
    "SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = $1 and t.typelem = e.oid",
    "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   \
     LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns          join ( select s.r, \
     (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) \
     as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE typname = $1  \
     ORDER BY sp.r, pg_type.oid DESC LIMIT 1",
];

const NODE_POSTGRES: &str =
    "SELECT typname, oid, typarray FROM pg_type WHERE typname = ANY($1::text[])";

/// asyncpg: what it wants to know of a type, in two versions, for servers before 14 and from then on.
const ASYNCPG_TYPES: [[&str; 2]; 2] = [
    ["range_t.rngsubtype", ""],
    [
        "COALESCE(range_t.rngsubtype, multirange_t.rngsubtype)",
        "LEFT JOIN pg_range multirange_t ON (t.oid = multirange_t.rngmultitypid)",
    ],
];

fn asyncpg([subtype, multirange]: [&str; 2]) -> String {
    let attributes = |what: &str| {
        format!(
            "(CASE WHEN t.typtype = 'c' THEN (SELECT array_agg({what} ORDER BY ia.attnum) FROM pg_attribute ia
             INNER JOIN pg_class c ON (ia.attrelid = c.oid) WHERE ia.attnum > 0 AND NOT ia.attisdropped
             AND c.reltype = t.oid) ELSE NULL END)"
        )
    };
    let (types, names) = (attributes("ia.atttypid"), attributes("ia.attname::text"));
    let one = format!(
        "(SELECT t.oid AS oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind,
            (CASE WHEN t.typtype = 'd' THEN (WITH RECURSIVE typebases(oid, depth) AS (
                SELECT t2.typbasetype AS oid, 0 AS depth FROM pg_type t2 WHERE t2.oid = t.oid
                UNION ALL
                SELECT t2.typbasetype AS oid, tb.depth + 1 AS depth FROM pg_type t2, typebases tb
                WHERE tb.oid = t2.oid AND t2.typbasetype != 0
            ) SELECT oid FROM typebases ORDER BY depth DESC LIMIT 1) ELSE NULL END) AS basetype,
            t.typelem AS elemtype, elem_t.typdelim AS elemdelim, {subtype} AS range_subtype,
            {types} AS attrtypoids, {names} AS attrnames
        FROM pg_catalog.pg_type AS t
        INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
        LEFT JOIN pg_type elem_t ON (t.typlen = -1 AND t.typelem != 0 AND t.typelem = elem_t.oid)
        LEFT JOIN pg_range range_t ON (t.oid = range_t.rngtypid) {multirange})"
    );
    format!(
        "WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype,
            attrtypoids, attrnames, depth) AS (
            SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype,
                ti.attrtypoids, ti.attrnames, 0
            FROM {one} AS ti WHERE ti.oid = any($1::oid[])
            UNION ALL
            SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype,
                ti.attrtypoids, ti.attrnames, tt.depth + 1
            FROM {one} ti, typeinfo_tree tt
            WHERE (tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype)
                OR (tt.attrtypoids IS NOT NULL AND ti.oid = any(tt.attrtypoids))
                OR (tt.range_subtype IS NOT NULL AND ti.oid = tt.range_subtype)
                OR (tt.basetype IS NOT NULL AND ti.oid = tt.basetype))
        SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text AS elemtype_name,
            range_subtype::regtype::text AS range_subtype_name
        FROM typeinfo_tree ORDER BY depth DESC"
    )
}

/// asyncpg: a type by its name or its number (`set_type_codec`).
const ASYNCPG_TYPE: [&str; 2] = [
    "SELECT t.oid, t.typelem AS elemtype, t.typtype AS kind FROM pg_catalog.pg_type AS t
     INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace) WHERE t.typname = $1 AND ns.nspname = $2",
    "SELECT t.oid, t.typelem AS elemtype, t.typtype AS kind FROM pg_catalog.pg_type AS t WHERE t.oid = $1",
];

const SQLX: [&str; 4] = [
    "SELECT typname, typtype, typcategory, typrelid, typelem, typbasetype FROM pg_catalog.pg_type WHERE oid = $1",
    "SELECT oid FROM pg_catalog.pg_type WHERE typname ILIKE $1",
    "SELECT oid, typname FROM pg_catalog.pg_type WHERE oid = $1",
    "SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngtypid = $1",
];

/// Texts whose ends differ from call to call (which types, how many columns): known by their
/// beginnings. JDBC's metadata of a result, and what ActiveRecord's adapter, the pg gem and psycopg2
/// ask on connecting.
const BEGINNINGS: [&str; 4] = [
    "SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), \
     a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) \
     JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND \
     d.adnum = a.attnum) JOIN (SELECT",
    "SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
     FROM pg_type as t LEFT JOIN pg_range as r ON oid = rngtypid WHERE t.typ",
    "SELECT t.oid, t.typname FROM pg_type as t WHERE t.typname IN",
    "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'",
];

/// The normal forms of a text's statements.
fn forms(text: &str) -> Vec<String> {
    let tokens = lex(text);
    views(text, &tokens.all).into_iter().map(normal).collect()
}

/// All texts that are known as a whole.
fn whole_texts() -> Vec<String> {
    let mut all: Vec<&str> = vec![POSTGRES_JS, NPGSQL, NODE_POSTGRES];
    all.extend(TOKIO_POSTGRES);
    all.extend(PSYCOPG);
    all.extend(JDBC);
    all.extend(SQLX);
    all.extend(ASYNCPG_TYPE);
    let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    all.extend(ASYNCPG_TYPES.map(asyncpg));
    all
}

/// Whether the statements of a request, in their normal forms, are what a driver asks by itself.
pub(super) fn are_look_ups(normal: &[String]) -> bool {
    static KNOWN: OnceLock<(HashSet<String>, Vec<String>)> = OnceLock::new();
    let (whole, beginnings) = KNOWN.get_or_init(|| {
        let texts = whole_texts();
        let whole = texts.iter().flat_map(|text| forms(text));
        let beginnings = BEGINNINGS.iter().flat_map(|text| forms(text));
        (whole.collect(), beginnings.collect())
    });
    let is_version = |form: &String| form == VERSION;
    let known = |form: &String| {
        whole.contains(form) || beginnings.iter().any(|known| form.starts_with(known))
    };
    normal.iter().all(|form| is_version(form) || known(form)) && !normal.iter().all(is_version)
}

#[cfg(test)]
pub(super) fn all_look_ups() -> Vec<String> {
    let mut all = whole_texts();
    let rest = [
        "16385 AS oid, 1 AS attnum) vals ON (c.oid = vals.oid)",
        "name IN ('int2')",
        "('int2')",
        "",
    ];
    all.extend(BEGINNINGS.iter().zip(rest).map(|(text, rest)| {
        format!(
            "{text}{}{rest}",
            if text.ends_with("typ") { "" } else { " " }
        )
    }));
    all
}
