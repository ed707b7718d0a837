// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "partition/partition_layout.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "pg/strong_lock.hpp"
#include "unique/unique_check.hpp"

#include <algorithm>

extern "C" {
#include <catalog/pg_type_d.h>
#include <storage/lmgr.h>
#include <utils/array.h>
}

using namespace privacy_scan;
using namespace privacy_scan::unique;

namespace
{

// Of an argument of type name[]; empty: not said.
std::vector<std::string> names_of(const pg::Arguments &args, int n)
{
    std::vector<std::string> names;
    if (args.is_null(n))
        return names;
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    const Datum value = args.datum(n);
    pg::guarded([&] {
        deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements,
                          &nulls, &count);
    });
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            pg::fail(ERRCODE_NULL_VALUE_NOT_ALLOWED, "a column's name must not be NULL");
        names.emplace_back(NameStr(*DatumGetName(elements[i])));
    }
    return names;
}

bool is_same(std::vector<std::string> left, std::vector<std::string> right)
{
    std::sort(left.begin(), left.end());
    std::sort(right.begin(), right.end());
    return left == right;
}

const Check *check_on(const std::vector<Check> &checks, const std::vector<std::string> &columns)
{
    auto found = std::find_if(checks.begin(), checks.end(),
                              [&](const Check &check) { return is_same(check.columns, columns); });
    return found == checks.end() ? nullptr : &*found;
}

// In short tries: writers to the set wait for a moment.
void change_triggers(const pg::OwnedTable &table, const std::function<void()> &body)
{
    pg::OwnerScope owner(table.owner);
    pg::GucScope settings;
    pg::ask_patiently(settings);
    pg::LockWait wait;
    const Oid relid = table.relid;
    auto failure = pg::try_with_locks({relid}, wait, [&] {
        pg::guarded([=] {
            pg::note_lock(ShareRowExclusiveLock);
            LockRelationOid(relid, ShareRowExclusiveLock);
        });
        body();
    });
    if (failure)
        pg::raise(*failure);
}

std::vector<std::string> wanted_columns(pg::Spi &spi, Oid relid, const std::vector<std::string> &named)
{
    partition::key_column(relid);
    pg::CatalogPath path;
    return named.empty() ? columns_of_id(spi, relid) : named;
}

// The rows that are there, of which writers were refused no more of since the trigger was committed: whoever
// wrote before had ended by then.
std::string find_duplicate(pg::Spi &spi, const pg::OwnedTable &table, const std::vector<std::string> &columns)
{
    pg::OwnerScope owner(table.owner);
    const pg::Rows rows = spi.run("SELECT format('Key %s is there %s times, in %s.', d.k, d.n, d.p) FROM (" +
                                      duplicates_query(table.relid, columns) + ") AS d (k, n, p)",
                                  {pg::int8_param(1)});
    return rows.empty() ? "" : rows.text(0, 1);
}

int drop_checks(pg::Spi &spi, const pg::OwnedTable &table, const std::vector<std::string> &columns)
{
    int dropped = 0;
    change_triggers(table, [&] {
        dropped = 0;
        for (const Check &check : find_checks(spi, table.relid))
            if (columns.empty() || is_same(check.columns, columns)) {
                drop_check(spi, table.relid, check);
                ++dropped;
            }
    });
    return dropped;
}

[[noreturn]] void refuse_duplicates(pg::Spi &spi, const pg::OwnedTable &table,
                                    const std::vector<std::string> &columns, const std::string &detail)
{
    drop_checks(spi, table, columns);
    const std::string name = pg::relation_name(table.relid);
    spi.commit();
    pg::fail(ERRCODE_UNIQUE_VIOLATION, "rows of relation \"" + name + "\" are not unique", detail,
             "privacy_scan.find_duplicates() lists them. Correct them, and try again.");
}

} // namespace

// CALL privacy_scan.add_unique_check(relation regclass, VARIADIC columns name[]): keeps the columns (none:
// the primary key's without the partition key) unique in the whole partition set. Two transactions: the
// trigger, under SHARE ROW EXCLUSIVE for a moment; then all rows are read, writers going on, and where values
// come twice it is dropped again. Once more for a check that exists: reads them again. Errors: 22004, 22023,
// 42501, 42701, 42703, 42704, 42809; 23505 duplicates, 55000 no index, 55P03, 2D000 in a transaction block.
PS_WRITING_FUNCTION(ps_add_unique_check)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    const pg::OwnedTable table = pg::require_owner(relid);
    pg::require_read_committed("add_unique_check()");
    const std::vector<std::string> named = names_of(args, 1);
    pg::Spi spi(fcinfo);
    const std::vector<std::string> columns = wanted_columns(spi, relid, named);
    change_triggers(table, [&] {
        const std::vector<Check> checks = find_checks(spi, relid);
        if (const Check *check = check_on(checks, columns))
            complete_check(spi, relid, *check, relid);
        else
            create_check(spi, relid, columns, relid);
    });
    spi.commit();
    const std::string duplicate = find_duplicate(spi, pg::require_owner(relid), columns);
    if (!duplicate.empty())
        refuse_duplicates(spi, pg::require_owner(relid), columns, duplicate);
    return Datum(0);
}

// privacy_scan.drop_unique_check(relation regclass, VARIADIC columns name[]) returns int: ends the check of
// the columns (none: all checks of the relation); how many there were. SHARE ROW EXCLUSIVE to the end of the
// transaction. VOLATILE. Errors: 22004, 42501, 55P03.
PS_WRITING_FUNCTION(ps_drop_unique_check)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    const pg::OwnedTable table = pg::require_owner(relid);
    const std::vector<std::string> columns = names_of(args, 1);
    pg::Spi spi;
    return Int32GetDatum(drop_checks(spi, table, columns));
}

// privacy_scan.find_duplicates(relation regclass, columns name[], most int): values of the columns (NULL: the
// primary key's without the partition key) that several rows of a partition set have: key, rows, partitions.
// Reads all rows. STABLE. Errors: 22004, 22023 most, 42501, 42703, 42704, 42809.
PS_FUNCTION(ps_find_duplicates)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    const pg::OwnedTable table = pg::require_owner(relid);
    const std::vector<std::string> named = names_of(args, 1);
    const std::int32_t most = DatumGetInt32(args.required(2, "most"));
    if (most < 1)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"most\" must be at least 1");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const std::vector<std::string> columns = wanted_columns(spi, relid, named);
    pg::OwnerScope owner(table.owner);
    const pg::Rows rows = spi.run(duplicates_query(relid, columns), {pg::int8_param(most)});
    sink.put_rows(rows.descriptor(), rows.tuples(), rows.size());
    return Datum(0);
}
