// See entry.hpp.
#include "pg/entry.hpp"

extern "C" {
#include <utils/memutils.h>
}

namespace privacy_scan::pg
{

namespace
{

// What is carried out of a catch block: trivial data only, since the ereport that follows jumps.
struct Carried {
    ErrorData *data; // an error of PostgreSQL's own, or null
    int sqlstate;
    char *message;
    char *detail;
    char *hint;
};

// A copy in the current memory context that cannot ereport; null where memory has run out, or where the text
// is beyond what palloc takes.
char *carry(std::string_view text) noexcept
{
    if (text.empty() || !AllocSizeIsValid(text.size() + 1))
        return nullptr;
    auto *copy = static_cast<char *>(
        MemoryContextAllocExtended(CurrentMemoryContext, text.size() + 1, MCXT_ALLOC_NO_OOM));
    if (copy) {
        std::copy(text.begin(), text.end(), copy);
        copy[text.size()] = '\0';
    }
    return copy;
}

Carried carry(const Error &error) noexcept
{
    return {nullptr, error.sqlstate, carry(error.message), carry(error.detail), carry(error.hint)};
}

// Runs the body. True and *result, or false and *carried; no C++ object of the body's is alive afterwards.
bool run(FunctionBody body, FunctionCallInfo fcinfo, Datum *result, Carried *carried) noexcept
{
    detail::ErrorState state;
    detail::door_memory = state.memory();
    try {
        *result = body(fcinfo);
        return true;
    } catch (const PgError &error) {
        *carried = {error.data(), 0, nullptr, nullptr, nullptr};
    } catch (const Error &error) {
        *carried = carry(error);
    } catch (const std::bad_alloc &) {
        *carried = {nullptr, ERRCODE_OUT_OF_MEMORY, nullptr, nullptr, nullptr};
    } catch (const std::exception &error) {
        *carried = {nullptr, ERRCODE_INTERNAL_ERROR, carry(error.what()), nullptr, nullptr};
    } catch (...) {
        *carried = {nullptr, ERRCODE_INTERNAL_ERROR, nullptr, nullptr, nullptr};
    }
    return false;
}

[[noreturn]] void raise(const Carried &carried)
{
    if (carried.data)
        ReThrowError(carried.data);
    const char *fallback =
        carried.sqlstate == ERRCODE_OUT_OF_MEMORY ? "out of memory" : "unexpected C++ exception";
    ereport(ERROR,
            (errcode(carried.sqlstate), errmsg_internal("%s", carried.message ? carried.message : fallback),
             carried.detail ? errdetail_internal("%s", carried.detail) : 0,
             carried.hint ? errhint("%s", carried.hint) : 0));
    pg_unreachable();
}

} // namespace

Datum enter(FunctionBody body, FunctionCallInfo fcinfo)
{
    Datum result = 0;
    Carried carried{};
    if (!run(body, fcinfo, &result, &carried))
        raise(carried);
    return result;
}

} // namespace privacy_scan::pg
