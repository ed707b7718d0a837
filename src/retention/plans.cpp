// The SQL functions on plans that are written down.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/standby.hpp"
#include "retention/retention_run.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::retention;

namespace
{

Datum valid_argument(const pg::Arguments &args, int n)
{
    const Datum valid = args.required(n, "valid");
    const Interval *interval = DatumGetIntervalP(valid);
    constexpr int most_months = 12;
    const bool is_positive = interval->month >= 0 && interval->day >= 0 && interval->time >= 0 &&
                             interval->month + interval->day + interval->time > 0;
    if (!is_positive || interval->month > most_months || interval->day > 31 * most_months ||
        interval->time > 366 * USECS_PER_DAY)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"valid\" must be positive and at most a year",
                 {}, "Say, for instance, valid => '1 day'.");
    return valid;
}

} // namespace

// privacy_scan.make_plan(root regclass, at timestamptz, valid interval) returns bigint: the id of a plan of
// what run_retention() would do at that instant, which is not in the future; it may be applied for so long.
// VOLATILE. Errors: 22004, 22008, 22023 valid, or at in the future, 25006, 42501, 42704.
PS_WRITING_FUNCTION(ps_make_plan)
{
    pg::Arguments args(fcinfo);
    const Oid root = args.relation(0, "root");
    const std::int64_t at = DatumGetTimestampTz(args.required(1, "at"));
    if (TIMESTAMP_NOT_FINITE(at))
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "argument \"at\" must be finite");
    const Datum valid = valid_argument(args, 2);
    pg::require_owner(root);
    refuse_future(at);
    pg::Spi spi;
    const Work work(spi, policy_of_caller(spi, root), at);
    return Int64GetDatum(store_plan(spi, work, draw_plan(spi, work), valid));
}

// CALL privacy_scan.apply_plan(plan bigint, force boolean, confirm boolean): what the plan says, with its own
// cutoff, in transactions and with NOTICEs as run_retention(); force and confirm as there. First it is drawn
// anew and compared: where policy, holds, definitions, partitions, rows or roots differ nothing is done. Then
// each step is held against it before it is committed. A plan is applied once. Errors: those of
// run_retention(), 42704 no such plan, 55000 it doesn't fit any more (the detail names what has changed), was
// begun already, or is out of date.
PS_WRITING_FUNCTION(ps_apply_plan)
{
    pg::Arguments args(fcinfo);
    const std::int64_t id = DatumGetInt64(args.required(0, "plan"));
    const Said said{DatumGetBool(args.required(1, "force")), DatumGetBool(args.required(2, "confirm"))};
    pg::Spi spi(fcinfo);
    const MadePlan plan = require_plan(spi, id);
    {
        const Work work(spi, policy_of_caller(spi, plan.root), plan.at);
        require_fits(spi, work, plan);
    }
    begin_plan(spi, id);
    spi.commit();
    std::optional<RootRun> run;
    const auto failure =
        run_to_end(spi, run, [&] { run.emplace(spi, plan, settings::retention_batch_rows(), said); });
    end_plan(spi, id, failure, run && run->has_begun());
    spi.commit();
    if (failure)
        pg::raise(*failure);
    return Datum(0);
}
