// json_profile(): what is inside a jsonb column, for the operator who has to decide what to index, to promote
// to a column or to drop. Reads as the caller: privileges and row-level security are the caller's.
#include "json/profile_tree.hpp"

#include "pg/postgres.hpp"

#include "json/document.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/spi.hpp"

extern "C" {
#include <catalog/pg_class.h>
#include <utils/builtins.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
}

namespace
{

using namespace privacy_scan;
using json::ProfileTree;

// The column's name, quoted, if it is one of jsonb.
std::string jsonb_column(Oid relid, const std::string &name)
{
    const char *text = name.c_str();
    const AttrNumber number = pg::guarded([=] { return get_attnum(relid, text); });
    if (number == InvalidAttrNumber)
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + name + "\" of relation \"" + pg::relation_name(relid) + "\" does not exist");
    const Oid type = pg::guarded([=] { return getBaseType(get_atttype(relid, number)); });
    if (type != JSONBOID)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "column \"" + name + "\" is not of type jsonb", {},
                 "A column of type json can be profiled through a view that casts it to jsonb.");
    return pg::quote(name);
}

char relation_kind(Oid relid)
{
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    if (kind == '\0')
        pg::fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
    if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX || kind == RELKIND_SEQUENCE ||
        kind == RELKIND_COMPOSITE_TYPE)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "\"" + pg::relation_name(relid) + "\" holds no rows to profile");
    return kind;
}

// As many rows as PostgreSQL believes there are, partitions included; 0 where it has no idea.
double estimated_rows(pg::Spi &spi, Oid relid)
{
    pg::Rows rows =
        spi.run("SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::float8 FROM pg_class c"
                " WHERE c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1) WHERE isleaf)",
                {pg::regclass_param(relid)});
    return rows.float8(0, 1);
}

// Of a large table, blocks are picked at random: some more than are wanted, since their rows vary in number.
std::string sampling(pg::Spi &spi, Oid relid, char kind, int wanted)
{
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
        return "";
    const double rows = estimated_rows(spi, relid);
    if (rows < 4.0 * wanted)
        return "";
    return " TABLESAMPLE SYSTEM (" + std::to_string(150.0 * wanted / rows) + ")";
}

struct WholeDocument {
    json::ByteSource source;
    void *copy; // what was made for it, or null
};

// Red.
WholeDocument whole_document(Datum datum)
{
    CHECK_FOR_INTERRUPTS();
    struct varlena *value = PG_DETOAST_DATUM_PACKED(datum);
    const auto size = static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(value));
    return {{reinterpret_cast<const std::uint8_t *>(VARDATA_ANY(value)), size, size, nullptr},
            PointerGetDatum(value) == datum ? nullptr : value};
}

void add_document(ProfileTree &tree, Datum datum)
{
    WholeDocument document = pg::guarded([=] { return whole_document(datum); });
    if (!tree.add(document.source))
        pg::guarded([] { json::report_damage(); });
    if (document.copy)
        pfree(document.copy);
}

// {"string": 0.98, "null": 0.02}, the most frequent first.
pg::Cell type_shares(const json::PathProfile &profile)
{
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    std::string text;
    for (int kind = 0; kind < 6; ++kind) {
        if (profile.of_kind[kind] == 0)
            continue;
        const double share = static_cast<double>(profile.of_kind[kind]) / profile.occurrences;
        text += (text.empty() ? "{\"" : ", \"") + std::string(names[kind]) +
                "\": " + std::to_string(share).substr(0, 6);
    }
    const char *written = (text += "}").c_str();
    return {pg::guarded([=] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(written)); }), false};
}

void put(pg::RowSink &sink, const ProfileTree &tree, const ProfileTree::Row &row)
{
    using pg::cell;
    const json::PathProfile &profile = *row.profile;
    const bool is_container = profile.of_kind[4] + profile.of_kind[5] == profile.occurrences;
    sink.put({cell(row.path),
              {Int32GetDatum(row.depth), false},
              cell(static_cast<double>(row.documents) / tree.documents()),
              type_shares(profile),
              is_container ? pg::null_cell()
                           : cell(std::min(profile.occurrences,
                                           static_cast<std::int64_t>(profile.distinct.estimate() + 0.5))),
              cell(profile.width_sum / profile.occurrences),
              {Int32GetDatum(static_cast<std::int32_t>(profile.width_max)), false},
              cell(static_cast<std::int64_t>(tree.documents()))});
}

} // namespace

// privacy_scan.json_profile(relation regclass, column name, sample_rows integer): a row a path, in a sample
// of at most that many documents that are not NULL. VOLATILE: the sample is random. Never shows a value; keys
// of an object that has over a hundred different ones are data too, and count as one path. Errors: 42P01,
// 42703 undefined_column, 42809 wrong_object_type, 42501 insufficient_privilege, 22023 where sample_rows is
// below 1.
PS_FUNCTION(ps_json_profile)
{
    pg::Arguments arguments(fcinfo);
    const Oid relid = arguments.relation(0);
    const std::string name = NameStr(*DatumGetName(arguments.required(1, "column")));
    const int wanted = DatumGetInt32(arguments.required(2, "sample_rows"));
    if (wanted < 1)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "sample_rows must be at least 1");
    const char kind = relation_kind(relid);
    const std::string column = jsonb_column(relid, name);
    pg::RowSink sink(fcinfo);
    pg::CatalogPath path;
    pg::Spi spi;
    ProfileTree tree;
    pg::Cursor cursor(spi,
                      "SELECT t." + column + "::jsonb FROM " + pg::qualified_name(relid) + " AS t" +
                          sampling(spi, relid, kind, wanted) + " WHERE t." + column + " IS NOT NULL LIMIT $1",
                      {pg::int4_param(wanted)});
    for (;;) {
        pg::Rows rows = cursor.fetch(50);
        if (rows.empty())
            break;
        for (std::size_t i = 0; i < rows.size(); ++i)
            add_document(tree, rows.datum(i, 1));
    }
    for (const ProfileTree::Row &row : tree.rows())
        put(sink, tree, row);
    return Datum(0);
}
