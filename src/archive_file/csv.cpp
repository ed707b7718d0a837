// See csv.hpp.
#include "archive_file/csv.hpp"

#include "json/byte_search.hpp"

#include <algorithm>
#include <cstring>

namespace privacy_scan::archive_file
{

namespace
{

constexpr std::size_t buffer_bytes = 64 * 1024;

bool is_special(char c)
{
    return c == ',' || c == '"' || c == '\n' || c == '\r' || c == '\0';
}

const char *find_special(const char *from, const char *end)
{
    using json::has_byte;
    return json::first_special(
        from, end,
        [](std::uint64_t word) {
            return has_byte(word, ',') | has_byte(word, '"') | has_byte(word, '\n') | has_byte(word, '\r') |
                   json::has_zero(word);
        },
        [](char c) { return is_special(c); });
}

// COPY reads a line of \. alone as the end of the data.
bool must_be_quoted(std::string_view value, bool is_alone)
{
    const char *end = value.data() + value.size();
    return value.empty() || (is_alone && value == "\\.") || find_special(value.data(), end) != end;
}

} // namespace

void append_csv_value(std::string &line, std::string_view value, bool is_alone)
{
    if (!must_be_quoted(value, is_alone)) {
        line.append(value);
        return;
    }
    line += '"';
    for (std::size_t quote; (quote = value.find('"')) != std::string_view::npos;) {
        line.append(value.substr(0, quote + 1)).append(1, '"');
        value.remove_prefix(quote + 1);
    }
    line.append(value).append(1, '"');
}

CsvReader::CsvReader(Source source, std::size_t most_bytes)
    : source_(std::move(source)), most_bytes_(most_bytes), buffer_(buffer_bytes)
{
}

bool CsvReader::fill()
{
    const std::size_t size = source_(buffer_.data(), buffer_.size());
    at_ = buffer_.data();
    end_ = at_ + size;
    return size > 0;
}

void CsvReader::append(CsvRow &row, const char *from, const char *to) const
{
    const auto size = static_cast<std::size_t>(to - from);
    if (row.text_.size() + size > most_bytes_)
        throw CsvError("a row is too long");
    row.text_.append(from, size);
}

void CsvReader::end_field(CsvRow &row, std::size_t begin, bool was_quoted) const
{
    const std::size_t size = row.text_.size() - begin;
    if (was_quoted && std::memchr(row.text_.data() + begin, '\0', size))
        throw CsvError("a field holds a zero byte");
    row.fields_.push_back({begin, size, size == 0 && !was_quoted});
    row.text_ += '\0';
}

// From behind the opening quote to behind the closing one.
void CsvReader::read_quoted(CsvRow &row)
{
    for (;;) {
        if (is_at_end())
            throw CsvError("a quoted field has no end");
        const auto *quote =
            static_cast<const char *>(std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_)));
        if (!quote) {
            append(row, at_, end_);
            at_ = end_;
            continue;
        }
        if (quote + 1 < end_ && quote[1] == '"') { // the first of the two goes with what is before it
            append(row, at_, quote + 1);
            at_ = quote + 2;
            continue;
        }
        append(row, at_, quote);
        at_ = quote + 1;
        if (is_at_end() || *at_ != '"')
            return;
        append(row, at_, at_ + 1);
        ++at_;
    }
}

bool CsvReader::next(CsvRow &row)
{
    row.text_.clear();
    row.fields_.clear();
    if (is_at_end())
        return false;
    std::size_t begin = 0;
    bool was_quoted = false, is_ended = false;
    while (!is_ended && !is_at_end()) {
        const char *special = find_special(at_, end_);
        append(row, at_, special);
        at_ = special;
        if (at_ == end_)
            continue;
        switch (*at_++) {
        case '"':
            was_quoted = true;
            read_quoted(row);
            break;
        case ',':
            end_field(row, begin, was_quoted);
            begin = row.text_.size();
            was_quoted = false;
            break;
        case '\n':
            is_ended = true;
            break;
        case '\r':
            throw CsvError("a carriage return outside of quotes");
        default:
            throw CsvError("a zero byte outside of quotes");
        }
    }
    end_field(row, begin, was_quoted);
    if (row.size() == 1 && !was_quoted && row.text(0) == "\\.")
        throw CsvError("an end-of-data mark");
    ++rows_;
    return true;
}

} // namespace privacy_scan::archive_file
