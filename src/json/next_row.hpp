// What a small document in the row costs is mostly waiting for its lines to come from memory, the tuple's
// header first, which the executor reads before it calls anything. A scan takes the tuples of a page in the
// order in which they lie there, the next one as far away as the one before was: so each call asks for the
// lines that the next will read. No address is read here, and a wrong guess costs next to nothing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace privacy_scan::json
{

// What a call site knows of where its documents lie. Trivial: zero it.
struct NextRow {
    std::uintptr_t last;    // the address of the document before
    std::uintptr_t step;    // from there to this one, modulo 2^64; 0: it is not known
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

// To be called with every document. The first one of a page is waited for; its next is expected where those
// of the page before were.
inline void expect_next_row(const void *document, NextRow &next)
{
    constexpr std::uintptr_t near = 4096;
    const auto here = reinterpret_cast<std::uintptr_t>(document);
    std::uintptr_t step = here - next.last;
    next.last = here;
    if (__builtin_expect(step + near < 2 * near, 1)) {
        next.step = step;
    } else {
        expect_lines(here, next.value_at);
        step = std::exchange(next.step, 0);
        if (step == 0)
            return;
    }
    expect_lines(here + step, next.value_at);
}

} // namespace privacy_scan::json
