-- What the redis: store runs on the server: a batch of operations, at once
-- or not at all.
--
-- KEYS[1] is the lease of the process: "epoch:sequence:time:results" of its
-- last batch.  A batch of another epoch (of a connection given up) does
-- nothing.  What a process has reserved is gone when its lease is not renewed
-- in time.
--
-- ARGV: the time or '', epoch, sequence, a lease's length, the process,
-- whether keys expire, whether all operations are plain, how many operations;
-- then these.  The other KEYS are taken in the order in which operations name
-- them.
local call, unpack = redis.call, unpack
local now, epoch, seq = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local lease_ms, proc, expire = tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
local at, key_at = 7, 1
local mine = 'p' .. proc
if not now then
	local t = call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local had = call('GET', KEYS[1])
if not had or string.sub(had, 1, #epoch) ~= epoch then
	return redis.error_reply('STALE')
end

-- Plain operations are those on counters of units alone, and the answer to
-- each is the number that was used.  This does what the functions below do,
-- without making them, as long as everything fits; nothing is written before
-- that is known.
local function plainly()
	local counters, list, used = {}, {}, {}
	local a, k, n = 9, 2, tonumber(ARGV[8])
	for o = 1, n do
		local op, first = ARGV[a], nil
		if op ~= 'R' and op ~= 'N' then a, first = a + 1, tonumber(ARGV[a + 1]) end
		used[o] = 0
		for x = 1, tonumber(ARGV[a + 1]) do
			local name, cost = KEYS[k], tonumber(ARGV[a + 4])
			local c = counters[name]
			if not c then
				local w = tonumber(ARGV[a + 2])
				local i = now * 60
				i = (i - i % w) / w
				local v = call('HMGET', name, 'h', 's', 'r', mine, i)
				local h = tonumber(v[1])
				c = { name, w, i, fresh = h ~= i, add = 0, s = tonumber(v[2]) or 0,
					r = tonumber(v[3]) or 0, p = tonumber(v[4]) or 0,
					slot = tonumber(v[5]) or 0 }
				if h and h > i then return nil end
				if h and h < i then
					local all, sum = call('HGETALL', name), 0
					for f = 1, #all, 2 do
						local t = tonumber(all[f])
						if t and t >= i - 60 then sum = sum + tonumber(all[f + 1])
						elseif t then call('HDEL', name, all[f])
						elseif string.sub(all[f], 1, 1) == 'p' and all[f] ~= mine then
							return nil
						end
					end
					c.s, c.r = sum, c.p
				end
				counters[name] = c
				list[#list + 1] = c
			end
			if op == 'R' then
				local in_use = c.s + c.r
				if in_use + cost + tonumber(ARGV[a + 5]) > tonumber(ARGV[a + 3]) then
					return nil
				end
				if x == 1 then used[o] = in_use end
				c.r, c.p = c.r + cost, c.p + cost
			elseif op == 'C' then
				if cost > c.p then return nil end
				c.r, c.p, c.s, c.add = c.r - cost, c.p - cost, c.s + cost, c.add + cost
			elseif op == 'N' then c.s, c.add = c.s + cost, c.add + cost
			elseif first >= 0 or cost > c.p then return nil
			else c.r, c.p = c.r - cost, c.p - cost end
			a, k = a + 5, k + 1
		end
		a = a + 2
	end
	for i = 1, #list do
		local c = list[i]
		local name, w, h = c[1], c[2], c[3]
		if c.s <= 0 and c.r <= 0 then call('DEL', name)
		elseif c.fresh then
			call('HSET', name, 'h', h, 's', c.s, 'r', c.r, mine, c.p)
			if c.add > 0 then call('HSET', name, h, c.add) end
		elseif c.add > 0 then
			call('HSET', name, 's', c.s, 'r', c.r, mine, c.p, h, c.slot + c.add)
		else call('HSET', name, 'r', c.r, mine, c.p) end
		-- a long window's key lives long enough from the first touch of a slot
		if expire and (c.fresh or w < 3600000) then
			local more = (c.r > 0 or w >= 3600000) and 3600000 or 1000
			call('PEXPIRE', name, math.floor(w * 61 / 60) + more)
		end
	end
	had = epoch .. ':' .. seq .. ':' .. string.format('%.0f', now) .. ':' ..
		string.rep('0', n)
	call('SET', KEYS[1], had, 'PX', 86400000)
	return used
end

if ARGV[7] == '1' then
	local used = plainly()
	if used then return used end
end

local function str() at = at + 1 return ARGV[at] end
local function num() at = at + 1 return tonumber(ARGV[at]) end
local function key() key_at = key_at + 1 return KEYS[key_at] end
local function slot(t, w) local x = t * 60 return (x - x % w) / w end
local function leaves(i, w) return math.ceil((i + 61) * w / 60) end
local function text(n) return string.format('%.0f', n) end

-- Does the process still keep its lease?
local alive = {}
alive[proc] = true
local function lives(p)
	if alive[p] == nil then
		local v = call('GET', string.sub(KEYS[1], 1, -#proc - 1) .. p)
		local t = v and tonumber(string.match(v, '^[^:]*:[^:]*:(%d+)'))
		alive[p] = t ~= nil and t + lease_ms > now
	end
	return alive[p]
end

-- Counters of units: a hash of slots, their sum s as of slot h, and what is
-- reserved: r in all, p.. by each process.
local units = {}

-- Reads it all: drops what has left the window and who died.
local function refresh(c)
	local all = call('HGETALL', c.key)
	local gone = {}
	c.slots, c.s, c.r = {}, c.add, c.p
	for i = 1, #all, 2 do
		local f, n = all[i], tonumber(all[i + 1])
		if string.sub(f, 1, 1) == 'p' then
			if f ~= mine then
				if n > 0 and lives(string.sub(f, 2)) then c.r = c.r + n
				else gone[#gone + 1] = f end
			end
		elseif f ~= 'h' and f ~= 's' and f ~= 'r' then
			local k = tonumber(f)
			if k >= c.h - 60 then
				c.s = c.s + n
				c.slots[#c.slots + 1] = { k, n }
			else gone[#gone + 1] = f end
		end
	end
	if #gone > 0 then
		call('HDEL', c.key, unpack(gone))
		c.dirty = true
	end
end

local function unit(k, w)
	local c = units[k]
	if c then return c end
	local v = call('HMGET', k, 'h', 's', 'r', mine)
	c = { key = k, w = w, h = tonumber(v[1]) or 0, s = tonumber(v[2]) or 0,
		r = tonumber(v[3]) or 0, p = tonumber(v[4]) or 0, add = 0 }
	c.p0 = c.p
	local i = slot(now, w)
	if i > c.h then
		c.h = i
		if v[1] then refresh(c) end
	end
	units[k] = c
	return c
end

local function when(c, want)
	local n, i = 0, c.h
	table.sort(c.slots, function(a, b) return a[1] < b[1] end)
	for _, v in ipairs(c.slots) do
		n = n + v[2]
		if n >= want then i = v[1] break end
	end
	return leaves(i, c.w) - now
end

-- 0 or 1, what is used, how long until it fits.
local function fits(c, max, want)
	local used = c.s + c.r
	if want > max then return 1, used, c.w end
	if want == 0 or used + want <= max then return 0, used, 0 end
	refresh(c)
	used = c.s + c.r
	if used + want <= max then return 0, used, 0 end
	return 1, used, when(c, used + want - max)
end

local function flush(c)
	if not c.dirty then return end
	c.dirty = false
	if c.s <= 0 and c.r <= 0 then call('DEL', c.key) return end
	local f = { 'h', c.h, 's', c.s, 'r', c.r }
	if c.p ~= c.p0 then f[7], f[8] = mine, c.p end
	call('HSET', c.key, unpack(f))
	if c.add ~= 0 then call('HINCRBY', c.key, c.h, c.add) end
	c.add, c.p0 = 0, c.p
	if expire then
		local more = c.r > 0 and 3600000 or 1000
		call('PEXPIRE', c.key, math.floor(c.w * 61 / 60) + more)
	end
end

local function reserve(c, n)
	c.r, c.p, c.dirty = c.r + n, c.p + n, true
end

local function release(c, n)
	if n > c.p then n = c.p end
	if n ~= 0 then reserve(c, -n) end
end

local function count(c, n)
	if n == 0 then return end
	c.s, c.add, c.dirty = c.s + n, c.add + n, true
end

local function take(c, i, n)
	c.dirty = true
	flush(c)
	local have = tonumber(call('HGET', c.key, i)) or 0
	if n > have then n = have end
	if i < c.h - 60 or n == 0 then return end
	if n == have then call('HDEL', c.key, i)
	else call('HINCRBY', c.key, i, -n) end
	c.s, c.dirty = c.s - n, true
end

-- Counters of members: a sorted set of the slots in which they were seen
-- last, infinite for who is reserved; a hash says by whom, and the slot.
local sets = {}

local function set(k, hk, w)
	local c = sets[k]
	if c then return c end
	local h = tonumber(call('HGET', hk, 'h'))
	c = { key = k, hk = hk, w = w, h = math.max(slot(now, w), h or 0), n = 0 }
	if h then
		call('ZREMRANGEBYSCORE', k, '-inf', c.h - 61)
		c.n = call('ZCARD', k)
	end
	sets[k] = c
	return c
end

local function let_go(c, m, p)
	if call('HINCRBY', c.hk, p .. m, -1) <= 0 then call('HDEL', c.hk, p .. m) end
	c.dirty = true
	if call('HINCRBY', c.hk, 'n' .. m, -1) > 0 then return end
	local b = tonumber(call('HGET', c.hk, 'b' .. m) or nil)
	call('HDEL', c.hk, 'n' .. m, 'b' .. m)
	if b and b >= c.h - 60 then call('ZADD', c.key, b, m)
	else
		call('ZREM', c.key, m)
		c.n = c.n - 1
	end
end

local function bury(c)
	local all = call('HGETALL', c.hk)
	for i = 1, #all, 2 do
		local f = all[i]
		if string.sub(f, 1, 1) == 'p' and not lives(string.sub(f, 2, #proc + 1)) then
			for _ = 1, tonumber(all[i + 1]) do
				let_go(c, string.sub(f, #proc + 2), string.sub(f, 1, #proc + 1))
			end
		end
	end
end

local function set_when(c, want)
	local i = c.h
	local v = call('ZRANGE', c.key, want - 1, want - 1, 'WITHSCORES')
	local k = tonumber(v[2])
	if k and k <= c.h then i = k end
	return leaves(i, c.w) - now
end

local function there(c, m)
	return c.n > 0 and call('ZSCORE', c.key, m)
end

local function set_fits(c, max, m, room)
	local want = room + ((m == '*' or there(c, m)) and 0 or 1)
	if want > max then return 1, c.n, c.w end
	if want == 0 or c.n + want <= max then return 0, c.n, 0 end
	bury(c)
	if c.n + want <= max then return 0, c.n, 0 end
	return 1, c.n, set_when(c, c.n + want - max)
end

local function hold(c, m)
	c.dirty = true
	if call('HINCRBY', c.hk, 'n' .. m, 1) == 1 then
		local s = there(c, m)
		if s then call('HSET', c.hk, 'b' .. m, s) else c.n = c.n + 1 end
		call('ZADD', c.key, '+inf', m)
	end
	call('HINCRBY', c.hk, mine .. m, 1)
end

local function seen(c, m)
	call('HSET', c.hk, 'b' .. m, c.h)
end

local function set_flush(c)
	if not c.dirty then return end
	c.dirty = false
	if c.n <= 0 then call('DEL', c.key, c.hk) return end
	call('HSET', c.hk, 'h', c.h)
	if expire then
		local ms = math.floor(c.w * 61 / 60) + 3600000
		call('PEXPIRE', c.key, ms)
		call('PEXPIRE', c.hk, ms)
	end
end

-- One window of an operation.  Member '*' is anybody of a counter of members,
-- or nothing of one of units.
local function window()
	local x = { w = num(), max = num(), cost = num(), room = num(), m = str() }
	if x.m == '*' then
		local k, d, e = key(), key(), key()
		x.any = sets[d] ~= nil or call('EXISTS', e) == 1
		if x.any then x.c = set(d, e, x.w)
		else x.c, x.m = unit(k, x.w), '' end
	elseif x.m == '' then x.c = unit(key(), x.w)
	else x.c = set(key(), key(), x.w) end
	return x
end

local function windows()
	local list = {}
	for i = 1, num() do list[i] = window() end
	return list
end

local function window_fits(x)
	if x.m == '' then return fits(x.c, x.max, x.cost + x.room) end
	return set_fits(x.c, x.max, x.m, x.room)
end

local function window_reserve(x)
	if x.any then return end
	if x.m ~= '' then hold(x.c, x.m) elseif x.cost > 0 then reserve(x.c, x.cost) end
end

local function window_release(x)
	if x.any then return end
	if x.m == '' then release(x.c, x.cost)
	elseif call('HEXISTS', x.c.hk, mine .. x.m) == 1 then let_go(x.c, x.m, mine) end
end

local function missing(x)
	if x.any then return 0 end
	if x.m == '' then return x.cost > x.c.p and x.cost - x.c.p or 0 end
	return call('HEXISTS', x.c.hk, mine .. x.m) == 0 and 1 or 0
end

local function window_count(x)
	if x.any then return end
	if x.m == '' then
		release(x.c, x.cost)
		count(x.c, x.cost)
		return
	end
	if missing(x) > 0 then hold(x.c, x.m) end
	seen(x.c, x.m)
	let_go(x.c, x.m, mine)
end

local ops = {}

-- All windows or none.
function ops.R()
	local list, over, index, used, retry = windows(), 0, 0, 0, -1
	for i, x in ipairs(list) do
		local full, u, t = window_fits(x)
		if t > retry then index, used, retry = i - 1, u, t end
		x.full = full == 1
		if x.full then over = 1 else window_reserve(x) end
	end
	if over == 1 then
		for _, x in ipairs(list) do if not x.full then window_release(x) end end
	end
	return { over, index, used, retry }
end

-- What was reserved counts; forced or not, where a lease has run out.
function ops.C()
	local forced, list = num() == 1, windows()
	if not forced then
		for _, x in ipairs(list) do
			local n = missing(x)
			if n > 0 then
				local full
				if x.m == '' then full = fits(x.c, x.max, n)
				else full = set_fits(x.c, x.max, x.m, 0) end
				if full == 1 then return { 2 } end
			end
		end
	end
	for _, x in ipairs(list) do window_count(x) end
	return { 0 }
end

-- Reservations given back, or what counted at a time; a member that was
-- counted stays, for it may have been there before.
function ops.G()
	local back, list = num(), windows()
	for _, x in ipairs(list) do
		if back < 0 then window_release(x)
		elseif x.m == '' then take(x.c, slot(back, x.w), x.cost) end
	end
	return { 0 }
end

function ops.A()
	local n, list = num(), windows()
	local c = list[num()].c
	if n < 0 then release(c, -n) else reserve(c, n) end
	return { 0 }
end

function ops.P()
	local full, used, retry = window_fits(windows()[1])
	return { full, 0, used, retry }
end

-- How many are used, of a kind the key's name tells.
function ops.U()
	local w, kind = num(), str()
	local c
	if kind == 'c' then
		c = unit(key(), w)
		if c.r > 0 then refresh(c) end
		return { 0, 0, c.s + c.r, 0 }
	end
	c = set(key(), key(), w)
	bury(c)
	return { 0, 0, c.n, 0 }
end

function ops.N()
	for _, x in ipairs(windows()) do
		if x.any then
		elseif x.m == '' then count(x.c, x.cost)
		else
			hold(x.c, x.m)
			seen(x.c, x.m)
			let_go(x.c, x.m, mine)
		end
	end
	return { 0 }
end

-- Empties a counter; who is reserved stays.
function ops.X()
	local w, kind = num(), str()
	if kind == 'c' then
		local c, gone = unit(key(), w), {}
		c.dirty = true
		flush(c)
		for _, f in ipairs(call('HKEYS', c.key)) do
			if tonumber(f) then gone[#gone + 1] = f end
		end
		if #gone > 0 then call('HDEL', c.key, unpack(gone)) end
		c.s, c.dirty = 0, true
		return { #gone > 0 and 1 or 0 }
	end
	local c, gone = set(key(), key(), w), {}
	local before = c.n
	call('ZREMRANGEBYSCORE', c.key, '-inf', c.h)
	for _, f in ipairs(call('HKEYS', c.hk)) do
		if string.sub(f, 1, 1) == 'b' then call('HDEL', c.hk, f) end
	end
	c.n, c.dirty = call('ZCARD', c.key), true
	return { before > 0 and 1 or 0 }
end

-- Notes: until when, and what.
function ops.W()
	local until_ms, left, value = str(), num(), str()
	local k = key()
	if left <= 0 then return { call('DEL', k) == 1 and 0 or 1 } end
	call('SET', k, until_ms .. ':' .. value)
	if expire then call('PEXPIRE', k, left) end
	return { 0 }
end

function ops.V()
	local v = call('GET', key())
	if not v then return { 1 } end
	return { 0, v }
end

local out, codes = {}, {}
for i = 1, num() do
	out[i] = ops[str()]()
	codes[i] = out[i][1]
end
for _, c in pairs(units) do flush(c) end
for _, c in pairs(sets) do set_flush(c) end
had = table.concat({ epoch, seq, text(now), table.concat(codes) }, ':')
call('SET', KEYS[1], had, 'PX', 86400000)
return out
