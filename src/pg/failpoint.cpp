// See failpoint.hpp.
#include "pg/postgres.hpp"

#include "pg/failpoint.hpp"

#ifdef PS_FAILPOINTS

#include "pg/guard.hpp"

#include <csignal>

#include <unistd.h>

extern "C" {
#include <utils/builtins.h>
#include <utils/fmgrprotos.h>
#include <utils/guc.h>
}

namespace privacy_scan::pg
{

namespace
{

char *chosen = nullptr;
constexpr std::int64_t lock_of_tests = 7073;

void wait_for_test()
{
    guarded([] {
        DirectFunctionCall1(pg_advisory_lock_int8, Int64GetDatum(lock_of_tests));
        DirectFunctionCall1(pg_advisory_unlock_int8, Int64GetDatum(lock_of_tests));
    });
}

} // namespace

void failpoint(const char *name)
{
    const std::string_view setting = chosen, wanted = name;
    if (setting == "*:trace")
        guarded([=] { ereport(NOTICE, (errmsg("failpoint %s", name))); });
    if (setting.substr(0, setting.find(':')) != wanted || setting.size() <= wanted.size())
        return;
    const std::string_view action = setting.substr(wanted.size() + 1);
    if (action == "kill")
        (void)::kill(getpid(), SIGKILL);
    else if (action == "error")
        fail(ERRCODE_INTERNAL_ERROR, std::string("failpoint ") + name);
    else if (action == "wait")
        wait_for_test();
}

void define_failpoint()
{
    DefineCustomStringVariable("privacy_scan.failpoint", "Where this test build kills itself, fails or waits.",
                               "NAME:kill, NAME:error, NAME:wait; *:trace names them.", &chosen, "", PGC_SUSET,
                               GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
}

} // namespace privacy_scan::pg

#endif
