// json_fields(): several keys of a document at once. Per row, so red.
#include "pg/postgres.hpp"

#include "json/call_site.hpp"
#include "json/json_text.hpp"
#include "pg/entry.hpp"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/array.h>
}

using namespace privacy_scan::json;

namespace
{

bool find_field(ByteSource &source, const Value &root, CallSite *site, std::int32_t n, Value &value)
{
    const Step &step = site->steps[n];
    return step.key && step_to(source, root, site, n, value) && value.kind != Kind::null;
}

} // namespace

// json_fields(doc jsonb, VARIADIC keys text[]) returns text[]: an element a key, what doc ->> key gives.
// IMMUTABLE, STRICT, PARALLEL SAFE. A key that is NULL, or not there, gives NULL. Error: XX001 where the
// document is damaged.
PS_RED_FUNCTION(ps_json_fields)
{
    CallSite *site = fixed_site_of(fcinfo, true);
    ByteSource plain;
    ByteSource &source = *open_document(PG_GETARG_DATUM(0), site->documents, plain);
    Value root;
    const bool is_object = is_found(read_root(source, root)) && root.kind == Kind::object;
    const auto count = static_cast<std::size_t>(site->count);
    auto *fields = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
    auto *nulls = static_cast<bool *>(palloc(count + 1));
    for (std::size_t i = 0; i < count; ++i) {
        Value value;
        nulls[i] = !is_object || !find_field(source, root, site, static_cast<std::int32_t>(i), value);
        if (!nulls[i])
            fields[i] = PointerGetDatum(make_text(source, value));
    }
    int size = site->count, lower_bound = 1;
    PG_RETURN_ARRAYTYPE_P(construct_md_array(fields, nulls, size > 0 ? 1 : 0, &size, &lower_bound, TEXTOID,
                                             -1, false, TYPALIGN_INT));
}
