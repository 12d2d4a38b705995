// SPDX-License-Identifier: GPL-2.0
/*
 * A small client of kheap to start from: hosts, routes between them, and users.
 * It shows what memory managed by hand makes hard: objects that several others
 * share, objects that refer to each other in a circle, and references that
 * must not keep anything alive. Documentation/tutorial.rst builds it.
 *
 *	user --home--> host --routes--> route --next--> route
 *	                ^  :               |               |
 *	                |  :admin (weak)   +--to--> host   +--to--> host
 *	                |  v
 *	               user
 *
 * Hosts in a ring, with routes to both neighbours, refer to each other in
 * circles: no reference count in them ever becomes 0 by itself. The collector
 * finds such a ring when nobody outside refers to it any more.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/seq_file.h>
#include <kheap/kheap.h>
#include <kheap/object.h>

static unsigned int nr_hosts = 100;
module_param(nr_hosts, uint, 0444);
MODULE_PARM_DESC(nr_hosts, "hosts in the ring (at least 2)");

/*
 * An object starts with its head, which is kheap's. Fields that are references
 * are pointers to the head of what they refer to.
 */
struct host {
	struct kheap_object obj;
	struct kheap_object *routes;	/* the first one, or NULL */
	struct kheap_weakref admin;	/* a user, who may go at any time */
	unsigned int nr;
};

struct route {
	struct kheap_object obj;
	struct kheap_object *to;	/* a host */
	struct kheap_object *next;	/* the same host's next route */
};

struct person {
	struct kheap_object obj;
	struct kheap_object *home;	/* a host that others share */
	unsigned int nr;
};

static struct kheap *heap;
static struct kheap_type *host_type, *route_type, *user_type;

/* What we hold ourselves: the first host leads to all others. */
static struct kheap_object *first_host;
static struct kheap_object *first_user;

static struct host *to_host(struct kheap_object *obj)
{
	return container_of(obj, struct host, obj);
}

static struct route *to_route(struct kheap_object *obj)
{
	return container_of(obj, struct route, obj);
}

static struct person *to_person(struct kheap_object *obj)
{
	return container_of(obj, struct person, obj);
}

/* --- What kheap asks of a type ------------------------------------------ */

/*
 * traverse: name every counted reference that the object holds. A weak one is
 * not counted, so it is not named.
 */
static void host_traverse(struct kheap_object *obj,
			  struct kheap_visitor *visitor)
{
	kheap_visit(visitor, READ_ONCE(to_host(obj)->routes));
}

/*
 * clear: give up every reference. It runs when the last reference to the object
 * is gone, because there is no release of our own; and when the collector has
 * found the object in a circle that nobody refers to, which ends the circle.
 */
static void host_clear(struct kheap_object *obj)
{
	struct host *host = to_host(obj);

	kheap_weakref_clear(&host->admin);
	kheap_ref_set(&host->routes, NULL);
}

static void route_traverse(struct kheap_object *obj,
			   struct kheap_visitor *visitor)
{
	kheap_visit(visitor, READ_ONCE(to_route(obj)->to));
	kheap_visit(visitor, READ_ONCE(to_route(obj)->next));
}

static void route_clear(struct kheap_object *obj)
{
	kheap_ref_set(&to_route(obj)->to, NULL);
	kheap_ref_set(&to_route(obj)->next, NULL);
}

/*
 * A user refers to a host, but no host counts a reference to a user, so users
 * are in no circle: without traverse they cost the collector nothing. Only the
 * end of the last reference matters: release.
 */
static void user_release(struct kheap_object *obj)
{
	kheap_ref_set(&to_person(obj)->home, NULL);
}

/* show: one line in the file "objects" of the heap in debugfs. */
static void host_show(struct kheap_object *obj, struct seq_file *seq)
{
	seq_printf(seq, "host %u", to_host(obj)->nr);
}

static const struct kheap_type_ops host_ops = {
	.name = "host",
	.size = sizeof(struct host),
	.traverse = host_traverse,
	.clear = host_clear,
	.show = host_show,
};

static const struct kheap_type_ops route_ops = {
	.name = "route",
	.size = sizeof(struct route),
	.traverse = route_traverse,
	.clear = route_clear,
};

static const struct kheap_type_ops user_ops = {
	.name = "user",
	.size = sizeof(struct person),
	.flags = KHEAP_TYPE_WEAK,	/* there are weak references to them */
	.release = user_release,
};

/* --- Making things ------------------------------------------------------ */

/* A new object is zero past its head, and has one reference: the caller's. */
static struct kheap_object *host_new(unsigned int nr)
{
	struct kheap_object *obj = kheap_object_new(host_type, GFP_KERNEL);

	if (obj)
		to_host(obj)->nr = nr;
	return obj;
}

/*
 * The new route goes to the front of the list. kheap_ref_give() moves our
 * reference into a field; kheap_ref_take() moves one out; kheap_ref_set() makes
 * another one. Plain stores into fields would be missed by the collector.
 */
static int add_route(struct host *from, struct kheap_object *to)
{
	struct kheap_object *obj = kheap_object_new(route_type, GFP_KERNEL);
	struct route *route;

	if (!obj)
		return -ENOMEM;
	route = to_route(obj);
	kheap_ref_set(&route->to, to);
	kheap_ref_give(&route->next, kheap_ref_take(&from->routes));
	kheap_ref_give(&from->routes, obj);
	return 0;
}

static int connect(struct kheap_object *one, struct kheap_object *other)
{
	return add_route(to_host(one), other) ?:
	       add_route(to_host(other), one);
}

static int make_ring(void)
{
	struct kheap_object *last = NULL, *host;
	unsigned int nr;
	int err = 0;

	for (nr = 0; nr < nr_hosts && !err; nr++) {
		host = host_new(nr);
		if (!host)
			err = -ENOMEM;
		else if (last)
			err = connect(last, host);
		else
			kheap_ref_set(&first_host, host);
		kheap_ref_give(&last, host);
	}
	if (!err)
		err = connect(last, first_host);
	kheap_ref_set(&last, NULL);
	return err;
}

/* Called when an admin goes; the weak reference says which host lost it. */
static void admin_gone(struct kheap_weakref *ref)
{
	struct host *host = container_of(ref, struct host, admin);

	pr_info("host %u has no admin any more\n", host->nr);
}

/* The first user, at home at the first host, and its admin. */
static int make_user(void)
{
	struct kheap_object *obj = kheap_object_new(user_type, GFP_KERNEL);

	if (!obj)
		return -ENOMEM;
	kheap_ref_set(&to_person(obj)->home, first_host);
	kheap_ref_give(&first_user, obj);
	return kheap_weakref_init(&to_host(first_host)->admin, first_user,
				  admin_gone);
}

/* --- Using them --------------------------------------------------------- */

/* A weak reference is made a counted one before anybody looks at the target. */
static void tell_admin(void)
{
	struct kheap_object *obj;

	obj = kheap_weakref_get(&to_host(first_host)->admin);
	if (!obj) {
		pr_info("host 0 has no admin\n");
		return;
	}
	pr_info("the admin of host 0 is user %u, at home at host %u\n",
		to_person(obj)->nr, to_host(to_person(obj)->home)->nr);
	kheap_object_put(obj);
}

/* Go round the ring by the routes to the next higher host. */
static unsigned int count_hosts(void)
{
	struct host *at = to_host(first_host);
	struct route *route;
	unsigned int nr = 0;

	do {
		route = to_route(at->routes);
		if (to_host(route->to)->nr != (at->nr + 1) % nr_hosts)
			route = to_route(route->next);
		at = to_host(route->to);
	} while (++nr < nr_hosts && at->nr);
	return nr;
}

/* --- The module --------------------------------------------------------- */

/*
 * From the last that was made to the first. Types go before their heap only if
 * one wants to hear of objects that are still alive.
 */
static void end(void)
{
	kheap_ref_set(&first_user, NULL);
	kheap_ref_set(&first_host, NULL);
	pr_info("the collector found %ld objects that nobody refers to\n",
		kheap_gc_collect(heap, KHEAP_GC_FULL));
	kheap_type_destroy(user_type);
	kheap_type_destroy(route_type);
	kheap_type_destroy(host_type);
	kheap_destroy(heap);
}

static int make_types(void)
{
	host_type = kheap_type_create(heap, &host_ops);
	route_type = kheap_type_create(heap, &route_ops);
	user_type = kheap_type_create(heap, &user_ops);
	return PTR_ERR_OR_ZERO(host_type) ?: PTR_ERR_OR_ZERO(route_type) ?:
	       PTR_ERR_OR_ZERO(user_type);
}

static int __init kheap_graph_init(void)
{
	int err;

	if (nr_hosts < 2) {
		pr_err("nr_hosts is %u: a ring has at least 2\n", nr_hosts);
		return -EINVAL;
	}
	heap = kheap_create("graph", NULL);
	if (IS_ERR(heap))
		return PTR_ERR(heap);
	err = make_types() ?: make_ring() ?: make_user();
	if (err) {
		end();
		return err;
	}
	pr_info("%u hosts in a ring\n", count_hosts());
	tell_admin();
	return 0;
}

static void __exit kheap_graph_exit(void)
{
	end();
}

module_init(kheap_graph_init);
module_exit(kheap_graph_exit);

MODULE_DESCRIPTION("A first client of kheap: hosts, routes and users");
MODULE_AUTHOR("The kheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
