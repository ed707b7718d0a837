// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "index/index_build.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/memory.hpp"
#include "pg/standby.hpp"

extern "C" {
#include <utils/array.h>
}

using namespace privacy_scan;

namespace privacy_scan::index
{

namespace
{

// Red.
std::size_t elements_of(Datum value, Datum **elements)
{
    int count = 0;
    bool *nulls = nullptr;
    deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, elements, &nulls, &count);
    for (int i = 0; i < count; ++i)
        if (nulls[i])
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a column must not be NULL")));
    return static_cast<std::size_t>(count);
}

// relation, columns, is_unique, method.
Wish wish_of(const pg::Arguments &args)
{
    Wish wish{args.relation(0), {}, DatumGetBool(args.required(2, "is_unique")), args.text(3, "method")};
    const Datum columns = args.required(1, "columns");
    Datum *elements = nullptr;
    const std::size_t count = pg::guarded([&] { return elements_of(columns, &elements); });
    for (std::size_t i = 0; i < count; ++i)
        wish.columns.push_back(pg::text_of_datum(elements[i]));
    return wish;
}

const char *in_words(Action action)
{
    switch (action) {
    case Action::drop:
        return "dropped, the remainder of an interrupted build";
    case Action::build:
        return "built";
    case Action::create_parent:
        return "created for the partitions";
    default:
        return "attached";
    }
}

void notice(const Done &done)
{
    const char *relation = done.relation.c_str(), *name = done.index.c_str(), *what = in_words(done.action),
               *blocked_by = done.wait.blocked_by.c_str();
    const double ms = done.ms, waited_ms = done.wait.waited_ms;
    pg::guarded([=] {
        ereport(NOTICE, (errmsg("%s: index \"%s\" %s, %.1f ms", relation, name, what, ms),
                         waited_ms > 0 ? errdetail("%.1f ms of it were spent waiting, at last for %s.",
                                                   waited_ms, *blocked_by ? blocked_by : "somebody")
                                       : 0));
    });
}

} // namespace

} // namespace privacy_scan::index

// CALL privacy_scan.run_index(relation regclass, columns text[], is_unique boolean, method text): builds an
// index on a table or a whole partition set while reads and writes go on, a NOTICE per step; where there is
// one, nothing. Goes on where an earlier run was interrupted. Errors: 22004 a NULL, 42501 not the owner,
// 42809 wrong kind of relation, 42703, 42701 and 22023 columns, 42704 method, 55006 another session is at it,
// 55P03 who was in the way, 53000 no worker slot, 23505 not unique, 0A000 what PostgreSQL can't index, 2D000
// inside a transaction block, 25006.
PS_WRITING_FUNCTION(ps_run_index)
{
    const pg::Arguments args(fcinfo);
    index::Wish wish = index::wish_of(args);
    pg::require_owner(wish.relid);
    pg::require_read_committed("run_index()");
    pg::Spi spi(fcinfo);
    spi.commit(); // what is read from here on is younger than the lock
    index::IndexBuild build(spi, std::move(wish));
    std::size_t told = 0;
    for (bool more = true; more;) {
        const pg::MemoryScope memory("step of an index build");
        more = build.step(spi);
        for (; told < build.done().size(); ++told)
            index::notice(build.done()[told]);
        spi.commit();
    }
    return Datum(0);
}
