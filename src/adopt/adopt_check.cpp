// See adopt_check.hpp.
#include "pg/postgres.hpp"

#include "adopt/adopt_check.hpp"

#include "pg/ident.hpp"

namespace privacy_scan::adopt
{

namespace
{

// Each query gives (message, detail, hint) rows. $1 the table, $2 the number of the key's column, $3 the
// caller.
constexpr const char *checks[] = {
    // What kind of table it is.
    "SELECT v.* FROM pg_catalog.pg_class c, LATERAL (VALUES"
    " (c.relispartition, 'it is itself a partition', NULL, 'Adopt a table that stands by itself.'),"
    " (c.relpersistence <> 'p', 'it is unlogged or temporary', 'A partition set is kept for years.',"
    "  'Run ALTER TABLE .. SET LOGGED first.'),"
    " (c.reloftype <> 0, 'it is a typed table', NULL, 'Run ALTER TABLE .. NOT OF first.'),"
    " (c.oid < 16384, 'it is a system relation', NULL, NULL),"
    " (c.relkind = 'r' AND NOT c.relispartition AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE $1 IN "
    "(inhrelid, "
    "inhparent)),"
    "  'it takes part in inheritance', NULL, 'Run ALTER TABLE .. NO INHERIT first.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_class'::regclass AND objid = $1 AND "
    "deptype = 'e'),"
    "  'it belongs to an extension', 'The extension''s updates would not know what became of it.', NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = $1),"
    "  'it is the target of a subscription', 'Changes that arrive name the table by its OID.', NULL))"
    " AS v (applies, message, detail, hint) WHERE c.oid = $1 AND v.applies",
    // Constraints and indexes that a partitioned table cannot have, or not as they are.
    "SELECT true, format('foreign key \"%s\" of relation \"%s\" refers to it', conname, conrelid::regclass),"
    " 'The key of a partition set must contain the partition key, so that no foreign key can refer to the "
    "others.',"
    " 'Take what it refers to as the key, where that is an id that carries time; else let it name the key "
    "too, or drop it.'"
    " FROM pg_catalog.pg_constraint WHERE confrelid = $1 AND contype = 'f' AND NOT $2 = ANY (confkey)",
    "SELECT true, format('foreign key \"%s\" of relation \"%s\" %s', c.conname, c.conrelid::regclass, "
    "v.what),"
    " v.detail, v.hint FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid,"
    " LATERAL (VALUES"
    "  (c.conrelid = $1, 'refers to its own table', 'It would have to be made anew under lock.', 'Drop it.'),"
    "  (r.relkind = 'p' AND c.conrelid <> $1, 'belongs to a partition set',"
    "   'PostgreSQL makes such a one only by reading all rows of the set under lock.',"
    "   'Adopt this table before those that refer to it: undo their adoption, or drop the foreign key.'),"
    "  (NOT c.convalidated AND c.conrelid <> $1, 'is not validated', 'It is validated after the switch.',"
    "   format('Run ALTER TABLE %s VALIDATE CONSTRAINT %I first.', c.conrelid::regclass, c.conname)),"
    "  (NOT pg_has_role($3, r.relowner, 'USAGE'), format('belongs to role \"%s\"', r.relowner::regrole),"
    "   'It has to be made anew in the switch.',"
    "   'Let a member of that role, or a superuser, adopt the table.'),"
    "  (NOT has_table_privilege(r.relowner, $1, 'REFERENCES'), 'belongs to a role that may not refer to it',"
    "   'It has to be made anew in the switch.',"
    "   format('Run GRANT REFERENCES ON %s TO %s.', $1::regclass, r.relowner::regrole)),"
    "  (EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled <> 'O'),"
    "   'has triggers that are disabled', 'Made anew, it would be enforced.', 'Enable them, or drop it.'))"
    " AS v (applies, what, detail, hint)"
    " WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 AND $2 = ANY (c.confkey) AND "
    "v.applies",
    "SELECT true, format('unique index \"%s\" does not contain the key', x.relname),"
    " 'Uniqueness across partitions is only kept for sets of columns that contain the partition key.',"
    " 'Drop it, or make it again with the key as its last column.'"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
    " WHERE i.indrelid = $1 AND i.indisunique AND NOT i.indisprimary"
    " AND NOT $2 = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])",
    "SELECT true, format('exclusion constraint \"%s\" cannot span partitions', conname), NULL, 'Drop it.'"
    " FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'x'",
    "SELECT true, format('index \"%s\" is invalid', x.relname), 'An interrupted CREATE INDEX CONCURRENTLY "
    "left it.',"
    " 'Drop it, or run REINDEX INDEX CONCURRENTLY.' FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = $1"
    " AND NOT (i.indisvalid AND i.indisready) AND NOT starts_with(x.relname::text, 'privacy_scan_adoption_')",
    "SELECT true, format('constraint \"%s\" is not validated', conname), 'Attaching the table would check it "
    "under lock.',"
    " format('Run ALTER TABLE .. VALIDATE CONSTRAINT %I.', conname) FROM pg_catalog.pg_constraint"
    " WHERE conrelid = $1 AND conparentid = 0 AND NOT convalidated AND contype IN ('c', 'f') AND conname <> "
    "'privacy_scan_adoption'",
    "SELECT true, format('constraint \"%s\" is NO INHERIT', conname), 'A partitioned table cannot have such "
    "a one.',"
    " 'Make it again without NO INHERIT.'"
    " FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'c' AND connoinherit",
    "SELECT true, format('row trigger \"%s\" has a transition table', tgname),"
    " 'A partition cannot have such a trigger.', 'Make it a statement trigger.'"
    " FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgtype & 1 = 1"
    " AND (tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL)",
    "SELECT true, format('statistics object \"%s\" lies in another schema', stxname), NULL,"
    " 'Move it to the schema of the table.' FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_class c"
    " ON c.oid = s.stxrelid WHERE s.stxrelid = $1 AND s.stxnamespace <> c.relnamespace",
    "SELECT true, format('statistics object \"%s\" has another owner than it', stxname), NULL,"
    " format('Run ALTER STATISTICS %I.%I OWNER TO %I.', n.nspname, stxname, c.relowner::regrole)"
    " FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_class c ON c.oid = s.stxrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = $1 AND s.stxowner <> "
    "c.relowner",
    // What names the table by its OID and cannot be made anew in the switch.
    "SELECT true, format('materialized view %s reads it', c.oid::regclass),"
    " 'It follows the table''s OID and would miss every row that is not in the first partition.',"
    " 'Drop it, and create it again after the switch.'"
    " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND "
    "r.oid = d.objid"
    " JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE d.refclassid = 'pg_class'::regclass AND "
    "d.refobjid = $1"
    " AND c.relkind = 'm' GROUP BY c.oid",
    "SELECT true, format('rule \"%s\" on %s names it', r.rulename, r.ev_class::regclass),"
    " 'A rule follows the table''s OID.', 'Drop the rule, or use a trigger instead.'"
    " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND "
    "r.oid = d.objid"
    " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND r.rulename <> '_RETURN' GROUP BY "
    "r.oid, r.rulename, r.ev_class",
    "SELECT true, format('policy \"%s\" on %s reads it', p.polname, p.polrelid::regclass),"
    " 'Its expression follows the table''s OID and would miss every row that is not in the first partition.',"
    " 'Drop the policy, and create it again after the switch.'"
    " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid "
    "= d.objid"
    " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND p.polrelid <> $1 GROUP BY p.oid, p.polname, p.polrelid",
    "SELECT true, format('%s depends on its row type', pg_describe_object(d.classid, d.objid, d.objsubid)),"
    " 'The row type stays with the first partition; the set gets a new one of the same name.',"
    " 'Drop it, and create it again after the switch.'"
    " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_type'::regclass"
    " AND d.refobjid IN (t.oid, t.typarray) WHERE t.typrelid = $1 AND d.deptype <> 'i'",
    "SELECT true, 'a temporary view of another session reads it', NULL,"
    " 'End that session, or have it drop the view.'"
    " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND "
    "r.oid = d.objid"
    " JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE d.refclassid = 'pg_class'::regclass AND "
    "d.refobjid = $1"
    " AND pg_is_other_temp_schema(c.relnamespace) GROUP BY c.oid",
    // Those that are made anew, by a role that the caller may not act for.
    "SELECT true, format('%s belongs to role \"%s\"', pg_describe_object(x.classid, x.objid, 0), "
    "x.owner::regrole),"
    " 'It has to be made anew in the switch.', 'Let a member of that role, or a superuser, adopt the table.'"
    " FROM (SELECT 'pg_class'::regclass AS classid, c.oid AS objid, c.relowner AS owner FROM "
    "pg_catalog.pg_depend d"
    "   JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
    "   JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'"
    "   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1"
    "  UNION SELECT 'pg_proc'::regclass, p.oid, p.proowner FROM pg_catalog.pg_depend d"
    "   JOIN pg_catalog.pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid"
    "   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1"
    "  UNION SELECT 'pg_publication'::regclass, p.oid, p.pubowner FROM pg_catalog.pg_publication_rel r"
    "   JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1) AS x"
    " WHERE NOT pg_has_role($3, x.owner, 'USAGE')",
    // Publications.
    "SELECT true, format('publication \"%s\" publishes by partitions', p.pubname),"
    " 'A subscriber would be sent changes of partitions that it does not have.',"
    " format('Run ALTER PUBLICATION %I SET (publish_via_partition_root = true).', p.pubname)"
    " FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_class c ON c.oid = $1 JOIN pg_catalog.pg_namespace "
    "n"
    " ON n.oid = c.relnamespace JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname"
    " AND t.schemaname = n.nspname AND t.tablename = c.relname WHERE NOT p.pubviaroot",
    "SELECT true, format('publication \"%s\" belongs to a role that may not add the table', p.pubname), NULL,"
    " 'Make its owner a member of the table''s owner.' FROM pg_catalog.pg_publication_rel r"
    " JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
    " WHERE r.prrelid = $1 AND NOT pg_has_role(p.pubowner, c.relowner, 'USAGE')",
    "SELECT true, format('publication \"%s\" has a row filter or a column list for it', p.pubname), NULL,"
    " 'Take the table out of the publication, and add it again after the switch.'"
    " FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE "
    "r.prrelid = $1"
    " AND (to_jsonb(r)->>'prqual' IS NOT NULL OR to_jsonb(r)->>'prattrs' IS NOT NULL)",
    "SELECT true, format('it has a security label of provider \"%s\"', provider),"
    " 'Labels are not taken over.', 'Remove the label, and set it again after the switch.'"
    " FROM pg_catalog.pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = $1",
    // Everything else that depends on the table. What is its own goes with it; what reads it was looked at
    // above.
    "SELECT true, format('%s depends on it', pg_describe_object(d.classid, d.objid, d.objsubid)),"
    " 'It would stay with the first partition.', 'Drop it, and create it again after the switch.'"
    " FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND NOT CASE "
    "d.classid"
    " WHEN 'pg_class'::regclass THEN d.objid = $1 OR EXISTS (SELECT FROM pg_catalog.pg_class"
    "  WHERE oid = d.objid AND (relkind IN ('i', 'I', 'S', 't') OR relispartition))"
    " WHEN 'pg_attrdef'::regclass THEN EXISTS (SELECT FROM pg_catalog.pg_attrdef WHERE oid = d.objid AND "
    "adrelid = $1)"
    " WHEN 'pg_constraint'::regclass THEN EXISTS (SELECT FROM pg_catalog.pg_constraint"
    "  WHERE oid = d.objid AND (conrelid = $1 OR contype = 'f'))"
    " WHEN 'pg_trigger'::regclass THEN EXISTS (SELECT FROM pg_catalog.pg_trigger"
    "  WHERE oid = d.objid AND (tgrelid = $1 OR tgisinternal))"
    " ELSE d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass, "
    "'pg_type'::regclass,"
    "  'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass) END",
};

// Our own policies name the table by its OID, too.
constexpr const char *own_policies =
    "SELECT true, 'it has a retention policy', 'The policy would stay with the first partition.',"
    " 'Call privacy_scan.drop_retention(), and set the policy again after the switch.'"
    " FROM privacy_scan.retention_rules WHERE root = $1 UNION ALL"
    " SELECT true, 'it has a legal hold', 'The hold would stay with the first partition.',"
    " 'Release the hold, and set it again after the switch.' FROM privacy_scan.hold_ledger"
    " WHERE root = $1 AND released_at IS NULL AND coalesce(until > now(), true)";

void add(std::vector<Refusal> &refusals, const pg::Rows &rows)
{
    for (std::size_t row = 0; row < rows.size(); ++row)
        refusals.push_back({rows.text(row, 2), rows.text(row, 3), rows.text(row, 4)});
}

} // namespace

std::vector<Refusal> find_refusals(pg::Spi &spi, const Candidate &candidate, Oid caller)
{
    std::vector<Refusal> refusals;
    const Oid relid = candidate.table.relid;
    pg::CatalogPath path;
    for (const char *sql : checks)
        add(refusals,
            spi.run(sql, {pg::oid_param(relid), pg::datum_param(INT2OID, Int16GetDatum(candidate.key_number)),
                          pg::oid_param(caller)}));
    if (!candidate.key_sorts_by_time)
        refusals.push_back({"the collation of column \"" + candidate.key + "\" does not sort ids of kind " +
                                candidate.key_kind + " by time",
                            "The bounds of partitions follow the collation.",
                            "Take another key, or give the column COLLATE \"C\"."});
    pg::CatalogScope scope;
    add(refusals, spi.run(own_policies, {pg::regclass_param(relid)}));
    return refusals;
}

std::optional<Refusal> find_misfits(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme,
                                    std::int64_t cutover)
{
    constexpr std::int64_t enough = 1000;
    if (candidate.key_kind.empty() ||
        spi.run("SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisvalid AND indpred IS NULL"
                " AND indkey[0] = $2",
                {pg::oid_param(candidate.table.relid),
                 pg::datum_param(INT2OID, Int16GetDatum(candidate.key_number))})
            .empty())
        return std::nullopt;
    pg::OwnerScope owner(candidate.table.owner);
    const std::string key = pg::quote(candidate.key), bound = scheme.axis->text_of(cutover);
    const std::int64_t count =
        spi.run("SELECT count(*) FROM (SELECT FROM " + candidate.name + " WHERE " + key +
                    " >= $1 LIMIT $2) AS found",
                {pg::datum_param(candidate.key_type, scheme.axis->value_of(cutover)), pg::int8_param(enough)})
            .int8(0, 1);
    if (count == 0)
        return std::nullopt;
    const std::string rows = count < enough ? std::to_string(count) : std::to_string(enough) + " or more";
    return Refusal{"the first partition cannot hold " + rows + " of its rows",
                   "Their ids carry no time and sort at or behind " + bound +
                       ", where it ends. Later ones go to DEFAULT; rows that are there already cannot.",
                   "Find them with SELECT .. WHERE " + key + " >= '" + bound +
                       "', give them other ids, or move them aside."};
}

std::optional<Refusal> find_nothing_unique(const Candidate &candidate)
{
    if (candidate.needs_index() || (candidate.primary_has_key && candidate.primary_key.size() == 1))
        return std::nullopt;
    return Refusal{"it has no primary key without the partition key that could stay unique",
                   candidate.primary_key.empty()
                       ? "It has no primary key."
                       : "Its primary key contains the partition key and other columns: nothing says that "
                         "those alone are unique.",
                   "Leave unique_id out, and call privacy_scan.add_unique_check() after the switch."};
}

void refuse_if_any(const std::string &what, const std::vector<Refusal> &refusals)
{
    if (refusals.empty())
        return;
    const Refusal &first = refusals.front();
    std::string detail = first.detail;
    if (refusals.size() > 1)
        detail += (detail.empty() ? "" : " ") + std::string("There are ") +
                  std::to_string(refusals.size() - 1) +
                  " more reasons; privacy_scan.plan_adoption() shows them.";
    pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED, what + ": " + first.message, detail, first.hint);
}

} // namespace privacy_scan::adopt
