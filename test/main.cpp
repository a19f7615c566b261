#define BOOST_TEST_MODULE netring_asio
#include <boost/test/unit_test.hpp>
