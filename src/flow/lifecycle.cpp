#include <netring_asio/flow/lifecycle.hpp>

#include <bit>
#include <ostream>
#include <string_view>

namespace netring_asio::flow {
namespace {

// The place of a letter is its code; a small letter's has one bit more.
constexpr std::string_view letters{"\0SHADFRIQTWG^C", 14};
constexpr std::uint32_t small = 16;
constexpr unsigned bits = 5;

} // namespace

std::ostream& operator<<(std::ostream& out, connection_state state) {
    static constexpr char const* names[] = {"OTH",  "S0",   "S1",     "SF",    "REJ", "S2", "S3",
                                            "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH",  "SHR"};
    return out << names[static_cast<std::size_t>(state)];
}

std::size_t history::size() const noexcept {
    std::size_t result = 0;
    for (auto const word : words_)
        result += (static_cast<std::size_t>(std::bit_width(word)) + bits - 1) / bits;
    return result;
}

char history::operator[](std::size_t at) const noexcept {
    auto const code = words_[at / letters_per_word] >> (at % letters_per_word * bits) & 31;
    auto const letter = letters[code % small];
    return code < small ? letter : static_cast<char>(letter - 'A' + 'a');
}

std::string history::str() const {
    std::string result(size(), '\0');
    for (std::size_t i = 0; i != result.size(); ++i)
        result[i] = (*this)[i];
    return result;
}

void history::push_back(char letter) noexcept {
    auto const at = size();
    bool const is_small = letter >= 'a' && letter <= 'z';
    auto const code = letters.find(is_small ? static_cast<char>(letter - 'a' + 'A') : letter);
    if (at == capacity || code == letters.npos || code == 0)
        return;
    words_[at / letters_per_word] |= (static_cast<std::uint32_t>(code) + (is_small ? small : 0))
                                     << (at % letters_per_word * bits);
}

std::ostream& operator<<(std::ostream& out, history const& value) { return out << value.str(); }

} // namespace netring_asio::flow
