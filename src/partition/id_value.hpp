// Ids as PostgreSQL stores them, for key_kind.hpp, and whether a collation sorts them by time.
#pragma once

#include "partition/key_kind.hpp"
#include "pg/postgres.hpp"

namespace privacy_scan::partition
{

// Error 22023 for a name that is no kind, or none for ids of the type.
std::unique_ptr<KeyKind> open_key_kind(const std::string &name, Oid type);

// Nothing for a type that holds no ids.
std::optional<IdStorage> id_storage(Oid type);

// A value of the key's at hand, detoasted in the current memory context. Red.
class IdValue
{
  public:
    IdValue(Oid type, Datum value);
    std::string_view image() const { return is_bigint_ ? bytes_.view() : view_; }
    // True where the image sorts after the value: text in the collation.
    bool is_below(std::string_view image, Oid collation) const;

  private:
    bool is_text_, is_bigint_;
    IdBytes bytes_;
    std::string_view view_;
};

Datum datum_of_image(Oid type, const IdBytes &image); // in the current memory context
std::string text_of_image(Oid type, const IdBytes &image);
std::string text_of_value(Oid type, Datum value);

// True where the collation sorts what consists of these characters as bytes are sorted. All strings of one
// and two of them are compared: the languages of collations (ISO 14651 in the C library, Unicode's in ICU)
// sort by characters and by what they contract to one, and no language contracts three of these characters
// and no two.
bool sorts_as_bytes(Oid collation, std::string_view alphabet);

} // namespace privacy_scan::partition
