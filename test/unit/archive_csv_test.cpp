// CSV as COPY has it, written and read back.
#include "archive_file/csv.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include <gtest/gtest.h>

using namespace privacy_scan::archive_file;

namespace
{

using Row = std::vector<std::optional<std::string>>;

// In pieces of this size, so that every state of the reader meets the end of its buffer.
Source pieces(const std::string &text, std::size_t size)
{
    return [=, at = std::size_t{0}](char *data, std::size_t most) mutable {
        const std::size_t count = std::min({size, most, text.size() - at});
        std::memcpy(data, text.data() + at, count);
        at += count;
        return count;
    };
}

std::string written(const std::vector<Row> &rows)
{
    std::string text;
    for (const Row &row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            text += i > 0 ? "," : "";
            if (row[i])
                append_csv_value(text, *row[i], row.size() == 1);
        }
        text += '\n';
    }
    return text;
}

std::vector<Row> parsed(const std::string &text, std::size_t piece = 1000, std::size_t most_bytes = 1 << 20)
{
    CsvReader reader(pieces(text, piece), most_bytes);
    std::vector<Row> rows;
    for (CsvRow row; reader.next(row);) {
        rows.emplace_back();
        for (std::size_t i = 0; i < row.size(); ++i) {
            EXPECT_EQ(row.text(i).data()[row.text(i).size()], '\0');
            rows.back().push_back(row.is_null(i) ? std::nullopt
                                                 : std::optional<std::string>(std::string(row.text(i))));
        }
    }
    EXPECT_EQ(reader.rows(), rows.size());
    return rows;
}

} // namespace

TEST(ArchiveCsv, WritesAsCopyDoes)
{
    EXPECT_EQ(written({{"a", std::nullopt, ""}}), "a,,\"\"\n");
    EXPECT_EQ(written({{"a,b", "say \"hi\"", "two\nlines", "\r"}}),
              "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"\r\"\n");
    EXPECT_EQ(written({{"\\."}, {std::nullopt}, {""}}), "\"\\.\"\n\n\"\"\n");
    EXPECT_EQ(written({{"\\.", " a "}}), "\\., a \n");
}

TEST(ArchiveCsv, ReadsWhatItWrote)
{
    const std::vector<Row> rows = {{"id", "text"}, {"1", std::nullopt}, {"", "\"\""},   {"\n\\.\n", ",\r\n"},
                                   {"\"", "a\"b"}, {"\\", "\\N"},       {"ä€😀", "\t "}, {std::nullopt, ""}};
    for (std::size_t piece = 1; piece < 8; ++piece)
        EXPECT_EQ(parsed(written(rows), piece), rows) << piece;
    const std::vector<Row> alone = {{"c"}, {std::nullopt}, {""}, {"\\."}, {"\n"}};
    EXPECT_EQ(parsed(written(alone), 1), alone);
}

TEST(ArchiveCsv, ReadsWhatCopyWouldRead)
{
    EXPECT_EQ(parsed("a\"b,c\"d,\n"), (std::vector<Row>{{"ab,cd", std::nullopt}}));
    EXPECT_EQ(parsed("a,b"), (std::vector<Row>{{"a", "b"}}));
    EXPECT_TRUE(parsed("").empty());
}

TEST(ArchiveCsv, RefusesWhatIsNone)
{
    EXPECT_THROW(parsed("a,\"b"), CsvError);
    EXPECT_THROW(parsed("a\rb\n"), CsvError);
    EXPECT_THROW(parsed("a\r\n"), CsvError);
    EXPECT_THROW(parsed(std::string("a\0b\n", 4)), CsvError);
    EXPECT_THROW(parsed(std::string("\"a\0b\"\n", 6)), CsvError);
    EXPECT_THROW(parsed("\\.\n"), CsvError);
    EXPECT_THROW(parsed(std::string(100, 'x'), 7, 50), CsvError);
}

TEST(ArchiveCsv, SurvivesRandomRows)
{
    std::mt19937 random(42);
    const char letters[] = {'a', ',', '"', '\n', '\r', '\\', '.', ' ', '\xc3', '\t'};
    for (int round = 0; round < 200; ++round) {
        std::vector<Row> rows(1 + random() % 5, Row(1 + random() % 4));
        const std::size_t columns = rows[0].size();
        for (Row &row : rows) {
            row.resize(columns);
            for (auto &value : row)
                if (random() % 4 > 0) {
                    value.emplace();
                    for (std::size_t n = random() % 6; n > 0; --n)
                        *value += letters[random() % sizeof letters];
                }
        }
        ASSERT_EQ(parsed(written(rows), 1 + random() % 9), rows) << round;
    }
}
