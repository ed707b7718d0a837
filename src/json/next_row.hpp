// What a small document in the row costs is mostly waiting for its lines to come from memory, the tuple's
// header first, which the executor reads before it calls anything. A scan takes the tuples of a page in the
// order in which they lie there, the next one as far away as the one before was, and pages that were read one
// after the other mostly lie so, too: each call asks for the lines that the next will read. No address is
// read here, and a wrong guess costs next to nothing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace privacy_scan::json
{

// What a call site knows of where its documents lie: addresses, and steps from one to the next, modulo 2^64.
// Trivial: zero it.
struct NextRow {
    std::uintptr_t last;    // the document before
    std::uintptr_t step;    // from there to the one after it; 0: it is not known
    std::uintptr_t first;   // the document after the last jump, which is the first one of a page
    std::uint32_t value_at; // where in the document the last value was that was found
};

// The lines from the tuple's header, or what comes before the document, to the keys; and those of the value.
inline void expect_lines(std::uintptr_t document, std::uint32_t value_at)
{
    asm volatile(""); // g++ takes a function of nothing but prefetches for an empty one, and drops its calls
    const auto *bytes = reinterpret_cast<const char *>(document);
    __builtin_prefetch(bytes - 64);
    __builtin_prefetch(bytes);
    __builtin_prefetch(bytes + 64);
    __builtin_prefetch(bytes + 128);
    __builtin_prefetch(bytes + 192);
    __builtin_prefetch(bytes + 256);
    __builtin_prefetch(bytes + value_at);
    __builtin_prefetch(bytes + value_at + 64);
}

inline bool is_near(std::uintptr_t step, std::uintptr_t most)
{
    return step + most < 2 * most;
}

// From one page to another. The document is waited for; the page's second one is expected where that of the
// page before was, and the first one of the page after it likewise. Nothing is where documents come in no
// order, as by an index. Returns the step to the second one, or 0.
inline std::uintptr_t step_over(std::uintptr_t here, NextRow &next)
{
    constexpr std::uintptr_t near = 16384; // a page is half of it
    const std::uintptr_t page = here - std::exchange(next.first, here);
    const bool is_in_order = is_near(page, near);
    if (is_in_order)
        expect_lines(here + page, next.value_at);
    if (is_in_order || next.step != 0)
        expect_lines(here, next.value_at);
    return std::exchange(next.step, 0);
}

// To be called with every document.
inline void expect_next_row(const void *document, NextRow &next)
{
    constexpr std::uintptr_t near = 4096;
    const auto here = reinterpret_cast<std::uintptr_t>(document);
    std::uintptr_t step = here - std::exchange(next.last, here);
    if (__builtin_expect(is_near(step, near), 1))
        next.step = step;
    else if ((step = step_over(here, next)) == 0)
        return;
    expect_lines(here + step, next.value_at);
}

} // namespace privacy_scan::json
