// What a call of a json function keeps from row to row: its key or path, taken apart once, and what it has
// learnt of the documents. Red.
#pragma once

#include "json/document.hpp"
#include "json/key_memo.hpp"

namespace privacy_scan::json
{

// One place in a query that calls a function on (doc, key) or (doc, path). Lives in fn_extra.
struct CallSite {
    DocumentSite documents;
    Step *steps;
    std::int32_t count;
    bool is_path;             // otherwise its only step is a key, of an object
    bool is_constant;         // the argument cannot change,
    bool is_fixed;            // and the steps are made of it:
    bool is_root;             // there are none
    bool is_nowhere;          // a NULL among the steps (its key is null, too)
    KeyMemo *memos;           // one for each of the first steps
    struct varlena *argument; // that the steps were made from
};

// The site of this call, its steps made from argument 1: a key, or an array of keys.
CallSite *site_of(FunctionCallInfo fcinfo, bool is_path);

// Of how many steps a site remembers where they led.
constexpr std::int32_t most_memos = 32;

inline KeyMemo *memo_of(CallSite *site, std::int32_t step)
{
    return step < most_memos ? &site->memos[step] : nullptr;
}

// What was found: a value of a document that is open.
struct Located {
    ByteSource *source;
    ByteSource plain; // what source points to where the document lies in memory
    Value value;
};

// The steps of a path of keys: which of them can be indexes of an array?
Step make_step(const char *key, std::uint32_t length);

// Is argument n of the call a constant?
bool is_constant_argument(FunctionCallInfo fcinfo, int n);

// Reads bytes of a value that must be there. Error: XX001.
inline const std::uint8_t *read_sound(ByteSource &source, std::uint32_t offset, std::uint32_t length)
{
    const std::uint8_t *bytes = read(source, offset, length);
    if (!bytes)
        report_damage();
    return bytes;
}

// Found or not; damage is an error.
inline bool is_found(Found found)
{
    if (__builtin_expect(found == Found::damaged, 0))
        report_damage();
    return found == Found::yes;
}

// One step, the short way if it can be gone. Error: XX001.
inline bool step_to(ByteSource &source, const Value &from, CallSite *site, std::int32_t n, Value &value)
{
    const Step &step = site->steps[n];
    if (from.kind == Kind::object && n < most_memos) {
        const Recall recall = recall_key(source, from.offset, from.length, step, site->memos[n], value);
        if (recall != Recall::unsure)
            return recall == Recall::yes;
    }
    return is_found(take_step(source, from, step, memo_of(site, n), value));
}

inline CallSite *fixed_site_of(FunctionCallInfo fcinfo, bool is_path)
{
    auto *site = static_cast<CallSite *>(fcinfo->flinfo->fn_extra);
    return __builtin_expect(site && site->is_fixed, 1) ? site : site_of(fcinfo, is_path);
}

// Arguments 0 and 1 of the call, a document and a key: is it there?
bool locate_key(FunctionCallInfo fcinfo, Located &located);

// Arguments 0 and 1 of the call, a document and a path.
bool locate_path(FunctionCallInfo fcinfo, Located &located);

} // namespace privacy_scan::json
