// See call_site.hpp.
#include "json/call_site.hpp"

extern "C" {
#include <catalog/pg_type_d.h>
#include <common/string.h>
#include <nodes/primnodes.h>
#include <utils/array.h>
#include <utils/memutils.h>
}

namespace privacy_scan::json
{

namespace
{

// As PostgreSQL reads the index of an array in a path: a C integer, blanks before it allowed.
bool is_index(const char *key, std::int32_t &index)
{
    char *end;
    errno = 0;
    index = strtoint(key, &end, 10);
    return end != key && *end == '\0' && errno == 0;
}

CallSite *make_site(FunctionCallInfo fcinfo, bool is_path)
{
    auto *site = static_cast<CallSite *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallSite)));
    site->documents.query = fcinfo->flinfo->fn_mcxt;
    site->is_path = is_path;
    site->is_constant = is_constant_argument(fcinfo, 1);
    fcinfo->flinfo->fn_extra = site;
    return site;
}

// In the memory of the site; what it takes to read the key stays in that of the row.
void add_step(CallSite *site, Datum key)
{
    text *value = DatumGetTextPP(key);
    MemoryContext outer = MemoryContextSwitchTo(site->documents.query);
    site->steps[site->count++] =
        make_step(VARDATA_ANY(value), static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(value)));
    MemoryContextSwitchTo(outer);
}

void *site_memory(CallSite *site, std::size_t size)
{
    return MemoryContextAllocExtended(site->documents.query, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void take_path_apart(CallSite *site, struct varlena *argument)
{
    auto *path = DatumGetArrayTypeP(PointerGetDatum(argument));
    Datum *keys;
    bool *nulls;
    int count;
    deconstruct_array(path, TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &count);
    site->steps = static_cast<Step *>(site_memory(site, sizeof(Step) * static_cast<std::size_t>(count + 1)));
    for (int i = 0; i < count; ++i) {
        if (nulls[i]) {
            site->is_nowhere = true;
            site->steps[site->count++] = {nullptr, 0, 0, false};
        } else {
            add_step(site, keys[i]);
        }
    }
}

void forget_argument(CallSite *site)
{
    pfree(site->argument);
    for (std::int32_t i = 0; i < site->count; ++i)
        if (site->steps[i].key)
            pfree(const_cast<char *>(site->steps[i].key));
    pfree(site->steps);
    pfree(site->memos);
    *site = {site->documents, nullptr, 0,     site->is_path, site->is_constant,
             false,           false,   false, nullptr,       nullptr};
}

// Makes the site's steps anew. An error on the way leaves a site without an argument, which is made once
// more.
void set_argument(CallSite *site, struct varlena *argument)
{
    if (site->argument)
        forget_argument(site);
    site->count = 0;
    site->is_nowhere = false;
    if (site->is_path) {
        take_path_apart(site, argument);
    } else {
        site->steps = static_cast<Step *>(site_memory(site, sizeof(Step)));
        add_step(site, PointerGetDatum(argument));
    }
    const std::int32_t memos = Min(Max(site->count, 1), most_memos);
    site->memos =
        static_cast<KeyMemo *>(site_memory(site, sizeof(KeyMemo) * static_cast<std::size_t>(memos)));
    const std::size_t size = VARSIZE_ANY(argument);
    auto *copy = static_cast<struct varlena *>(site_memory(site, size));
    memcpy(copy, argument, size);
    site->argument = copy;
    site->is_fixed = site->is_constant;
    site->is_root = site->is_fixed && site->count == 0;
}

// The long way to a key of the document.
bool find_root_key(ByteSource &source, CallSite *site, Value &value)
{
    Value root;
    return is_found(read_root(source, root)) && root.kind == Kind::object &&
           is_found(find_key(source, root, site->steps->key, site->steps->length, site->memos, value));
}

bool is_same(const struct varlena *a, const struct varlena *b)
{
    return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

} // namespace

CallSite *site_of(FunctionCallInfo fcinfo, bool is_path)
{
    auto *site = static_cast<CallSite *>(fcinfo->flinfo->fn_extra);
    if (!site)
        site = make_site(fcinfo, is_path);
    struct varlena *argument = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));
    if (!site->argument || !is_same(argument, site->argument))
        set_argument(site, argument);
    if (PointerGetDatum(argument) != PG_GETARG_DATUM(1))
        pfree(argument);
    return site;
}

bool is_constant_argument(FunctionCallInfo fcinfo, int n)
{
    const Node *call = fcinfo->flinfo->fn_expr;
    const List *arguments = nullptr;
    if (call && IsA(call, FuncExpr))
        arguments = reinterpret_cast<const FuncExpr *>(call)->args;
    return arguments && n < list_length(arguments) && IsA(list_nth(arguments, n), Const);
}

// The key is copied with a NUL behind it.
Step make_step(const char *key, std::uint32_t length)
{
    auto *copy = static_cast<char *>(palloc(length + 1));
    memcpy(copy, key, length);
    copy[length] = '\0';
    Step step{copy, length, 0, false};
    step.is_index = is_index(copy, step.index);
    return step;
}

bool locate_key(FunctionCallInfo fcinfo, Located &located)
{
    CallSite *site = fixed_site_of(fcinfo, false);
    ByteSource &source = *open_document(PG_GETARG_DATUM(0), site->documents, located.plain);
    located.source = &source;
    const Recall recall = recall_key(source, 0, source.size, *site->steps, *site->memos, located.value);
    const bool is_there = __builtin_expect(recall != Recall::unsure, 1)
                              ? recall == Recall::yes
                              : find_root_key(source, site, located.value);
    if (is_there)
        site->documents.next.value_at = located.value.offset;
    return is_there;
}

bool locate_path(FunctionCallInfo fcinfo, Located &located)
{
    CallSite *site = fixed_site_of(fcinfo, true);
    if (site->is_nowhere)
        return false;
    located.source = open_document(PG_GETARG_DATUM(0), site->documents, located.plain);
    ByteSource &source = *located.source;
    // From one to the other, the last step ending in the result: a copy of what was only just written stalls.
    Value other;
    Value *from = site->count % 2 == 0 ? &located.value : &other;
    Value *to = from == &other ? &located.value : &other;
    if (!is_found(read_root(source, *from)))
        return false;
    for (std::int32_t i = 0; i < site->count; ++i, std::swap(from, to))
        if (!step_to(source, *from, site, i, *to))
            return false;
    site->documents.next.value_at = located.value.offset;
    return true;
}

} // namespace privacy_scan::json
