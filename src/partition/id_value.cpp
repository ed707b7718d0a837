// See id_value.hpp.
#include "pg/postgres.hpp"

#include "partition/id_value.hpp"

#include "pg/guard.hpp"

#include <cstring>

extern "C" {
#include <catalog/pg_collation_d.h>
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/uuid.h>
#include <utils/varlena.h>
}

namespace privacy_scan::partition
{

std::optional<IdStorage> id_storage(Oid type)
{
    switch (type) {
    case TEXTOID:
    case VARCHAROID:
        return IdStorage::text;
    case UUIDOID:
        return IdStorage::uuid;
    case INT8OID:
        return IdStorage::bigint;
    default:
        return std::nullopt;
    }
}

std::unique_ptr<KeyKind> open_key_kind(const std::string &name, Oid type)
{
    const std::optional<IdStorage> storage = id_storage(type);
    std::unique_ptr<KeyKind> kind = storage ? make_key_kind(name, *storage) : nullptr;
    if (!kind)
        pg::fail(
            ERRCODE_INVALID_PARAMETER_VALUE,
            "\"" + name + "\" is no kind of ids of type " + pg::guarded([=] { return format_type_be(type); }),
            {},
            "Kinds are uuidv7 (uuid or text), ulid, ulid_lower, cuid, ksuid, objectid (text or varchar) and "
            "snowflake(epoch,shift) (bigint), such as snowflake(1288834974657,22). "
            "privacy_scan.detect_key_kind() looks at the ids.");
    return kind;
}

IdValue::IdValue(Oid type, Datum value)
    : is_text_(type == TEXTOID || type == VARCHAROID), is_bigint_(type == INT8OID), bytes_{}
{
    if (is_bigint_) {
        bytes_ = image_of_bigint(DatumGetInt64(value));
    } else if (is_text_) {
        struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
        view_ = {VARDATA_ANY(text), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(text))};
    } else {
        view_ = {reinterpret_cast<const char *>(DatumGetUUIDP(value)->data), UUID_LEN};
    }
}

static int compare_texts(std::string_view a, std::string_view b, Oid collation)
{
    return varstr_cmp(a.data(), static_cast<int>(a.size()), b.data(), static_cast<int>(b.size()), collation);
}

bool IdValue::is_below(std::string_view other, Oid collation) const
{
    return is_text_ ? compare_texts(other, image(), collation) > 0 : other > image();
}

Datum datum_of_image(Oid type, const IdBytes &image)
{
    if (type == INT8OID)
        return Int64GetDatum(bigint_of_image(image.view()));
    return pg::guarded([&] {
        if (type != UUIDOID)
            return PointerGetDatum(cstring_to_text_with_len(image.data, static_cast<int>(image.size)));
        auto *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
        std::memcpy(uuid->data, image.data, UUID_LEN);
        return UUIDPGetDatum(uuid);
    });
}

std::string text_of_image(Oid type, const IdBytes &image)
{
    if (type == INT8OID)
        return std::to_string(bigint_of_image(image.view()));
    return std::string(type == UUIDOID ? uuid_text_of_image(image.view()).view() : image.view());
}

std::string text_of_value(Oid type, Datum value)
{
    if (type == INT8OID)
        return std::to_string(DatumGetInt64(value));
    const std::string_view image = pg::guarded([=] { return IdValue(type, value).image(); });
    return std::string(type == UUIDOID ? uuid_text_of_image(image).view() : image);
}

namespace
{

// Red. Each string of one and of two of the characters against the next, in the order of their bytes.
bool pairs_ascend(std::string_view alphabet, Oid collation)
{
    char last[2] = {};
    std::size_t last_size = 0;
    for (const char first : alphabet)
        for (std::size_t i = 0; i <= alphabet.size(); ++i) {
            CHECK_FOR_INTERRUPTS();
            const char next[2] = {first, i == 0 ? '\0' : alphabet[i - 1]};
            const std::size_t size = i == 0 ? 1 : 2;
            if (last_size > 0 && compare_texts({last, last_size}, {next, size}, collation) >= 0)
                return false;
            std::memcpy(last, next, sizeof last);
            last_size = size;
        }
    return true;
}

} // namespace

bool sorts_as_bytes(Oid collation, std::string_view alphabet)
{
    if (alphabet.empty() || collation == C_COLLATION_OID)
        return true;
    return pg::guarded([=] { return pairs_ascend(alphabet, collation); });
}

} // namespace privacy_scan::partition
