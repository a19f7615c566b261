#define BOOST_TEST_MODULE netring_asio
#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include <boost/test/unit_test.hpp>

#include <iostream>

namespace {

// A case whose precondition failed counts as passed for Boost.Test; the exit status 77 tells CTest that it was skipped.
struct skip_reporter : boost::unit_test::test_observer {
    int skipped = 0;

    void test_unit_skipped(boost::unit_test::test_unit const& unit, boost::unit_test::const_string reason) override {
        if (reason == "disabled")
            return; // left out on the command line
        ++skipped;
        std::cout << "skipped: " << unit.full_name() << ": " << reason << std::endl;
    }
};

} // namespace

int main(int argc, char* argv[]) {
    skip_reporter reporter;
    boost::unit_test::framework::register_observer(reporter);
    int const status = boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
    return status == 0 && reporter.skipped != 0 ? 77 : status;
}
