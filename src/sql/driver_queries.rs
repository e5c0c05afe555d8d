//! What drivers ask the catalog by themselves, as in their sources.

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

const PSYCOPG: [&str; 3] = [
    "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter
     FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid",
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

const JDBC: [&str; 4] = [
    "SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t \
     JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1",
    "SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = $1 and t.typelem = e.oid",
    "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   \
     LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns          join ( select s.r, \
     (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) \
     as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE typname = $1  \
     ORDER BY sp.r, pg_type.oid DESC LIMIT 1",
    "SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), \
     a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) \
     JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND \
     d.adnum = a.attnum) JOIN (SELECT 16385 AS oid , 1 AS attnum UNION ALL SELECT 16385, 2) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum)",
];

const NODE_POSTGRES: &str =
    "SELECT typname, oid, typarray FROM pg_type WHERE typname = ANY($1::text[])";

const ASYNCPG: &str = "
    WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, depth) AS (
        SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, 0
        FROM (SELECT t.oid AS oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind,
                (CASE WHEN t.typtype = 'd' THEN
                    (WITH RECURSIVE typebases(oid, depth) AS (
                        SELECT t2.typbasetype AS oid, 0 AS depth FROM pg_type t2 WHERE t2.oid = t.oid
                        UNION ALL
                        SELECT t2.typbasetype AS oid, tb.depth + 1 AS depth FROM pg_type t2, typebases tb
                        WHERE tb.oid = t2.oid AND t2.typbasetype != 0
                    ) SELECT oid FROM typebases ORDER BY depth DESC LIMIT 1)
                 ELSE NULL END) AS basetype, t.typelem AS elemtype
              FROM pg_catalog.pg_type AS t
              INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
              LEFT JOIN pg_range AS range_t ON (t.oid = range_t.rngtypid OR t.oid = range_t.rngmultitypid)) AS ti
        WHERE ti.oid = any($1::oid[])
        UNION ALL
        SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, tt.depth + 1
        FROM pg_type ti, typeinfo_tree tt
        WHERE (tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype)
    )
    SELECT DISTINCT *, basetype::regtype::text AS basetype_name FROM typeinfo_tree ORDER BY depth DESC";

/// All of them.
pub(super) fn all_look_ups() -> Vec<&'static str> {
    let mut all = vec![POSTGRES_JS, NPGSQL, NODE_POSTGRES, ASYNCPG];
    all.extend(TOKIO_POSTGRES);
    all.extend(PSYCOPG);
    all.extend(JDBC);
    all.push("select 1 from information_schema.tables where table_name = 'x'");
    all
}
