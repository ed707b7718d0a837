// The SQL functions on holds.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/standby.hpp"
#include "retention/condition.hpp"
#include "retention/hold.hpp"

extern "C" {
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::retention;

namespace
{

constexpr const char *reason_hint =
    "Say why the rows are held, such as the name of a case.";

std::optional<std::int64_t> until_argument(const pg::Arguments &args, int n)
{
    if (args.is_null(n))
        return std::nullopt;
    const std::int64_t until = DatumGetTimestampTz(args.datum(n));
    if (until <= GetCurrentTimestamp())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"until\" lies in the past", {},
                 "Leave it out for a hold that lasts until it is released.");
    return until;
}

std::string held_rows_in_words(pg::Spi &spi, const pg::OwnedTable &root, const std::string &condition)
{
    pg::OwnerScope owner(root.owner);
    const std::int64_t rows =
        spi.run("SELECT count(*) FROM " + pg::qualified_name(root.relid) + " AS t WHERE " + condition)
            .int8(0, 1);
    return std::to_string(rows) + (rows == 1 ? " row" : " rows") + " of " + pg::qualified_name(root.relid);
}

std::int64_t hold(pg::Spi &spi, const pg::OwnedTable &root, const std::string &text,
                  const std::string &reason, std::optional<std::int64_t> until)
{
    const std::string condition = compile_condition(root, text);
    const std::string words =
        held_rows_in_words(spi, root, condition); // before the lock: it may take its time
    const std::int64_t id = place_hold(spi, root, condition, reason, until);
    const char *what = words.c_str();
    pg::guarded([=] { ereport(NOTICE, (errmsg("hold %lld keeps %s", static_cast<long long>(id), what))); });
    return id;
}

} // namespace

// privacy_scan.hold(root regclass, condition text, reason text, until timestamptz) returns bigint: from its
// commit on no retention takes rows of the root that meet the condition, nor what refers to them, until the
// hold is released or the instant has passed. A NOTICE says how many rows that is now. Returns the hold's id.
// VOLATILE. Errors: 22004, 22023 reason or until, 42501 not the owner, 55P03 a batch would not end, and for
// the condition those of set_retention().
PS_WRITING_FUNCTION(ps_hold)
{
    pg::Arguments args(fcinfo);
    const pg::OwnedTable root = pg::require_owner(args.relation(0, "root"));
    const std::string condition = args.text(1, "condition"), reason = args.written_text(2, "reason", reason_hint);
    const std::optional<std::int64_t> until = until_argument(args, 3);
    pg::Spi spi;
    return Int64GetDatum(hold(spi, root, condition, reason, until));
}

// privacy_scan.hold(root regclass, ids text[], reason text, until timestamptz) returns bigint: the same for
// the rows whose primary key, but for the partition key, is one of the ids, in its type's text. Errors also:
// 0A000 where that key isn't one column, 22P02 an id that its type refuses.
PS_WRITING_FUNCTION(ps_hold_ids)
{
    pg::Arguments args(fcinfo);
    const pg::OwnedTable root = pg::require_owner(args.relation(0, "root"));
    const Datum ids = args.required(1, "ids");
    const std::string reason = args.written_text(2, "reason", reason_hint);
    const std::optional<std::int64_t> until = until_argument(args, 3);
    pg::Spi spi;
    return Int64GetDatum(hold(spi, root, condition_of_ids(spi, root, ids), reason, until));
}

// privacy_scan.release_hold(hold bigint) returns boolean: ends a hold; its row stays in privacy_scan.holds.
// False where it had been released. VOLATILE. Errors: 22004, 42501 not the owner of the root, 42704 no such
// hold, 55P03 another hold is just being placed.
PS_WRITING_FUNCTION(ps_release_hold)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "hold"));
    pg::Spi spi;
    return BoolGetDatum(end_hold(spi, id));
}
