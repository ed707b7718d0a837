// What a failure costs: memory held by PostgreSQL's contexts and by the process, and failing without any
// left.
#include "boundary_test.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

extern "C" {
#include <utils/memutils.h>
}

using namespace privacy_scan;

namespace
{

// A field of /proc/self/statm in bytes: 0 the address space, 1 what is resident.
long process_bytes(int field)
{
    std::ifstream statm("/proc/self/statm");
    long pages = 0;
    for (int i = 0; i <= field; ++i)
        statm >> pages;
    return pages * sysconf(_SC_PAGESIZE);
}

// Holds the address space at what it is plus room while it lives.
class AddressLimit
{
  public:
    AddressLimit() { getrlimit(RLIMIT_AS, &saved_); }
    AddressLimit(const AddressLimit &) = delete;
    AddressLimit &operator=(const AddressLimit &) = delete;
    ~AddressLimit() { setrlimit(RLIMIT_AS, &saved_); }

    void hold(long room) const
    {
        struct rlimit limit = saved_;
        limit.rlim_cur = static_cast<rlim_t>(process_bytes(0) + room);
        setrlimit(RLIMIT_AS, &limit);
    }

  private:
    struct rlimit saved_;
};

struct Starver {
    const AddressLimit *limit;
    int called;
};

// Called while the first error is built: from here on there is no memory for its copy.
void starve(void *argument)
{
    auto *starver = static_cast<Starver *>(argument);
    ++starver->called;
    starver->limit->hold(8L << 20);
}

// Red. An error of 40 MB below a callback whose frame is gone when the error is copied.
void report_big(Starver *starver)
{
    constexpr int size = 40 << 20;
    char *big = static_cast<char *>(palloc_extended(size, MCXT_ALLOC_HUGE));
    memset(big, 'x', size - 1);
    big[size - 1] = '\0';
    ErrorContextCallback callback = {error_context_stack, starve, starver};
    error_context_stack = &callback;
    ereport(ERROR, (errmsg("big"), errdetail_internal("%s", big)));
}

} // namespace

// context_bytes() returns bigint: all of PostgreSQL's memory contexts in this backend
PS_FUNCTION(bt_context_bytes)
{
    PG_RETURN_INT64(static_cast<int64>(MemoryContextMemAllocated(TopMemoryContext, true)));
}

// top_bytes() returns bigint: TopMemoryContext alone
PS_FUNCTION(bt_top_bytes)
{
    PG_RETURN_INT64(static_cast<int64>(MemoryContextMemAllocated(TopMemoryContext, false)));
}

// resident_bytes() returns bigint
PS_FUNCTION(bt_resident_bytes)
{
    PG_RETURN_INT64(process_bytes(1));
}

// starved() returns int: an error for whose copy there is no memory becomes std::bad_alloc; how often the
// error context callback was called (once: not again from a frame that is gone).
PS_FUNCTION(bt_starved)
{
    boundary::Counted one;
    AddressLimit limit;
    Starver starver{&limit, 0};
    try {
        pg::guarded([&] { report_big(&starver); });
    } catch (const std::bad_alloc &) {
        PG_RETURN_INT32(starver.called);
    }
    PG_RETURN_NULL();
}
