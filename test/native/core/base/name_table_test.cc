#include "core/base/name_table.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sluice {
namespace {

using Named = NamedValue<int>;

constexpr NameTable kTable(std::array{
    Named{"bb", 1},
    Named{"a", 2},
    Named{"ab", 3},
    Named{"1234567890123456789012345678901", 4},
});

TEST(NameTable, FindsEveryNameAndNoOther) {
  EXPECT_EQ(kTable.find("a", 0), 2);
  EXPECT_EQ(kTable.find("bb", 0), 1);
  EXPECT_EQ(kTable.find("ab", 0), 3);
  EXPECT_EQ(kTable.find("1234567890123456789012345678901", 0), 4);
  for (const std::string& name : {std::string(), std::string("b"), std::string("ba"),
                                  std::string("abc"), std::string(31, '1'), std::string(32, '1')}) {
    EXPECT_EQ(kTable.find(name, -1), -1) << name;
  }
}

}  // namespace
}  // namespace sluice
