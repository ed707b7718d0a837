// The SQL functions that erase.
#include "pg/postgres.hpp"

#include "erase/erase_run.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "retention/condition.hpp"
#include "retention/hold.hpp"

using namespace privacy_scan;
using namespace privacy_scan::erase;

namespace
{

constexpr const char *reason_hint =
    "Say why the rows are erased, such as the number of a request, but not about whom.";

bool is_passed_over(const Erased &part)
{
    return part.place == "missing file" || part.place == "damaged file";
}

std::string detail_of(const Erasure &erasure, const Erased &part, bool dry_run)
{
    if (is_passed_over(part))
        return "to be erased when it is back: call erase() again";
    if (part.rows == 0)
        return "no such rows";
    if (dry_run)
        return "would be erased";
    return "entered as erasure " + std::to_string(part.erasure ? part.erasure : erasure.id);
}

bool skips_missing(const std::string &word)
{
    if (word != "skip" && word != "refuse")
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"missing_files\" is \"" + word + "\"", {},
                 "Give 'refuse', or 'skip'.");
    return word == "skip";
}

std::string action_of(const Erased &part, bool dry_run)
{
    const std::string action = is_passed_over(part) ? "skip" : "erase";
    return (dry_run ? "would " : "") + action;
}

// fill: says which roots.
Datum erase_where(FunctionCallInfo fcinfo,
                  const std::function<void(pg::Spi &, const pg::OwnedTable &, Request &)> &fill)
{
    pg::Arguments args(fcinfo);
    const pg::OwnedTable root = pg::require_owner(args.relation(0, "root"));
    Request request{};
    request.reason = args.written_text(2, "reason", reason_hint);
    request.is_trial = DatumGetBool(args.required(3, "dry_run"));
    request.skips_missing = skips_missing(args.text(4, "missing_files"));
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    fill(spi, root, request);
    request.condition = retention::compile_condition(root, request.condition);
    const Erasure erasure = erase_families(spi, root.relid, request);
    for (const Erased &part : erasure.parts)
        sink.put({pg::cell(part.place), pg::cell_oid(part.relid), pg::cell(part.archive), pg::cell(part.file),
                  pg::cell(part.rows), pg::cell(part.bytes), pg::cell(action_of(part, request.is_trial)),
                  pg::cell(detail_of(erasure, part, request.is_trial))});
    return Datum(0);
}

} // namespace

// privacy_scan.erase(root regclass, condition text, reason text, dry_run boolean, missing_files text) returns rows: the
// families whose root meets the condition, written as a policy's, go from the live relations, from table
// archives and from files, children before parents, in the caller's transaction; a row for each relation and
// place. With dry_run, the default, the same rows, and nothing has changed. Entered in privacy_scan.erasures.
// missing_files: a file that is missing or damaged refuses (58P01, XX001), or ('skip') is passed over, and entered in
// privacy_scan.erasure_missing_files until it is back, whole. VOLATILE. Errors: 22004, 22023 reason, missing_files,
// 25001, 25006, 42501 not the owner, 55000 held, 55P03, 58P01 and XX001 a file that is missing or damaged, and for
// the condition those of set_retention().
PS_WRITING_FUNCTION(ps_erase)
{
    return erase_where(fcinfo, [&](pg::Spi &, const pg::OwnedTable &, Request &request) {
        request.condition = pg::Arguments(fcinfo).text(1, "condition");
    });
}

// privacy_scan.erase(root regclass, ids text[], reason text, dry_run boolean, missing_files text) returns rows: the same
// for the roots with these ids, as hold() takes them.
PS_WRITING_FUNCTION(ps_erase_ids)
{
    return erase_where(fcinfo, [&](pg::Spi &spi, const pg::OwnedTable &root, Request &request) {
        const Datum ids = pg::Arguments(fcinfo).required(1, "ids");
        request.condition = retention::condition_of_ids(spi, root, ids);
        request.ids = retention::ids_of_roots(spi, root, ids);
    });
}
