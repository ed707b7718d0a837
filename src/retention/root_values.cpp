// See root_values.hpp.
#include "retention/root_values.hpp"

extern "C" {
#include <fmgr.h>
#include <utils/memutils.h>
}

namespace privacy_scan::retention
{

namespace
{

Digest digest_of_value(const FormData_pg_attribute *column, Datum value)
{
    if (column->attbyval)
        return hash_of_bytes(&value, sizeof value);
    const char *bytes = DatumGetPointer(value);
    if (column->attlen >= 0)
        return hash_of_bytes(bytes, static_cast<std::size_t>(column->attlen));
    return hash_of_bytes(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

} // namespace

RootValues make_root_values(Oid type)
{
    HASHCTL control{};
    control.keysize = sizeof(Digest);
    control.entrysize = sizeof(Digest);
    control.hcxt = CurrentMemoryContext;
    return {hash_create("roots of a leaf", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT), {},
            initArrayResult(type, CurrentMemoryContext, true), 0, 0};
}

void note_root(RootValues *roots, const FormData_pg_attribute *column, Datum value, bool is_null)
{
    if (is_null) {
        ++roots->missing;
        return;
    }
    const Datum plain = column->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM_PACKED(value)) : value;
    const Digest digest = digest_of_value(column, plain);
    if (digest == roots->last)
        return;
    bool found;
    hash_search(roots->seen, &digest, HASH_ENTER, &found);
    if (!found) {
        roots->values = accumArrayResult(roots->values, plain, false, roots->values->element_type,
                                         roots->values->mcontext);
        ++roots->count;
    }
    roots->last = digest;
}

Datum array_of(const RootValues *roots)
{
    return makeArrayResult(roots->values, CurrentMemoryContext);
}

} // namespace privacy_scan::retention
