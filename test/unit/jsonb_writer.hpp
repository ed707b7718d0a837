// Writes documents as PostgreSQL stores them, for the tests: from the description of the format, sharing no
// code with what reads them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace privacy_scan::json
{

// A JSON value. Objects keep their keys in jsonb's order: shorter ones first, then by bytes.
struct Json {
    enum class Type { null, string, number, boolean, array, object };
    struct KeyOrder {
        bool operator()(const std::string &a, const std::string &b) const
        {
            return a.size() != b.size() ? a.size() < b.size() : a < b;
        }
    };

    Type type = Type::null;
    bool truth = false;
    std::string text; // of a string
    int number = 0;   // 0 to 9999, to keep numerics simple
    std::vector<Json> elements;
    std::map<std::string, Json, KeyOrder> pairs;

    static Json of(const std::string &text);
    static Json of(const char *text) { return of(std::string(text)); }
    static Json of(int number);
    static Json of(bool truth);
    static Json array(std::vector<Json> elements);
    static Json object(std::map<std::string, Json, KeyOrder> pairs);
};

using Bytes = std::vector<std::uint8_t>;

// A document without its varlena header.
Bytes write_jsonb(const Json &root);

// A numeric of 0 to 9999 with its varlena header, as numeric_in makes it.
Bytes write_numeric(int number);

} // namespace privacy_scan::json
